package domain

// Persons replaces what events have of persons, such as by its sealed form.
type Persons struct {
	Name    func(name string) string             // who acted
	Account func(subject, account string) string // at an authorization server, with the hash of the subject that it is of
}

// In returns e with what it has of persons replaced. It leaves e as it is.
func (p Persons) In(e Event) Event {
	switch e := e.(type) {
	case AuthorizationChanged:
		e.Change = p.inChange(e.State.Subject, e.Change)
		e.State.Account, e.State.AuthorizedBy = p.account(e.State.Subject, e.State.Account), p.name(e.State.AuthorizedBy)
		return e
	case CallRequested:
		return CallRequested{p.inApproval(e.Approval)}
	case CallApproved:
		return CallApproved{p.inApproval(e.Approval)}
	case CallDenied:
		return CallDenied{p.inApproval(e.Approval)}
	case CallExpired:
		return CallExpired{p.inApproval(e.Approval)}
	case CallStarted:
		return CallStarted{p.inApproval(e.Approval)}
	case CallMade:
		return CallMade{p.inApproval(e.Approval)}
	case CallCancelled:
		return CallCancelled{p.inApproval(e.Approval)}
	case CallLost:
		return CallLost{p.inApproval(e.Approval)}
	case IntegrationCreated, IntegrationUpdated, IntegrationDeleted, IntegrationProbed, IntegrationInvoked:
	}
	return e
}

func (p Persons) inApproval(a Approval) Approval {
	a.Key, a.DecidedBy = p.name(a.Key), p.name(a.DecidedBy)
	return a
}

func (p Persons) inChange(subject string, e AuthorizationEvent) AuthorizationEvent {
	switch e := e.(type) {
	case AuthorizationStarted:
		e.By = p.name(e.By)
		return e
	case Authorized:
		return p.inConsent(subject, e)
	case AuthorizationRestored:
		return AuthorizationRestored(p.inConsent(subject, Authorized(e)))
	case AuthorizationRevoked:
		e.By = p.name(e.By)
		return e
	case ClientRegistered, AuthorizationLost, RevocationEnded, AuthorizationProven:
	}
	return e
}

func (p Persons) inConsent(subject string, e Authorized) Authorized {
	e.Account, e.By = p.account(subject, e.Account), p.name(e.By)
	return e
}

func (p Persons) name(name string) string {
	if name == "" {
		return ""
	}
	return p.Name(name)
}

func (p Persons) account(subject, account string) string {
	if account == "" {
		return ""
	}
	return p.Account(subject, account)
}
