package projections

import (
	"context"

	"github.com/seed677028b5/integrations/domain"
)

// use returns the generation to read, and a function to call afterwards. The generation stays
// open until then.
func (l *Live) use() (Store, func(), error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.current == nil {
		return nil, nil, domain.Errorf(domain.Unavailable, "projection_behind", "the read model is being built; try again")
	}
	l.current.using.Add(1)
	return l.current.store, l.current.using.Done, nil
}

// Get implements Model.
func (l *Live) Get(ctx context.Context, w domain.Workspace, id domain.ID) (Integration, error) {
	store, done, err := l.use()
	if err != nil {
		return Integration{}, err
	}
	defer done()
	return store.Get(ctx, w, id)
}

// List implements Model.
func (l *Live) List(ctx context.Context, w domain.Workspace, q Query) (Page, error) {
	store, done, err := l.use()
	if err != nil {
		return Page{}, err
	}
	defer done()
	return store.List(ctx, w, q)
}

// Answer implements Model.
func (l *Live) Answer(ctx context.Context, w domain.Workspace, id domain.ID) (Answer, error) {
	store, done, err := l.use()
	if err != nil {
		return Answer{}, err
	}
	defer done()
	return store.Answer(ctx, w, id)
}

// Answers implements Model.
func (l *Live) Answers(ctx context.Context, w domain.Workspace, q Query) (AnswerPage, error) {
	store, done, err := l.use()
	if err != nil {
		return AnswerPage{}, err
	}
	defer done()
	return store.Answers(ctx, w, q)
}

// Probed implements Model.
func (l *Live) Probed(ctx context.Context, w domain.Workspace, ids []domain.ID) (map[domain.ID]LastProbe, error) {
	store, done, err := l.use()
	if err != nil {
		return nil, err
	}
	defer done()
	return store.Probed(ctx, w, ids)
}

// Authorizations implements AuthorizationModel.
func (l *Live) Authorizations(ctx context.Context, w domain.Workspace, q AuthorizationQuery) (AuthorizationPage, error) {
	store, done, err := l.use()
	if err != nil {
		return AuthorizationPage{}, err
	}
	defer done()
	return store.Authorizations(ctx, w, q)
}

// Parked implements Model.
func (l *Live) Parked(ctx context.Context) ([]Parked, error) {
	store, done, err := l.use()
	if err != nil {
		return nil, err
	}
	defer done()
	return store.Parked(ctx)
}

// Approvals implements Model.
func (l *Live) Approvals(ctx context.Context, w domain.Workspace, q ApprovalQuery) (ApprovalPage, error) {
	store, done, err := l.use()
	if err != nil {
		return ApprovalPage{}, err
	}
	defer done()
	return store.Approvals(ctx, w, q)
}

// Workspaces implements Model.
func (l *Live) Workspaces(ctx context.Context, after domain.Workspace, limit int) ([]WorkspaceSize, error) {
	store, done, err := l.use()
	if err != nil {
		return nil, err
	}
	defer done()
	return store.Workspaces(ctx, after, limit)
}

// Ping verifies that the live generation can be read.
func (l *Live) Ping(ctx context.Context) error {
	store, done, err := l.use()
	if err != nil {
		return err
	}
	defer done()
	return store.Ping(ctx)
}

// Position returns the position in the log of integrations that is shown.
func (l *Live) Position() uint64 { return l.progress.Position() }

// Wait returns once everything up to position is shown. It stays shown, whichever generation is
// read. If ctx ends first, the error is Unavailable with the code projection_behind.
func (l *Live) Wait(ctx context.Context, position uint64) error {
	if err := l.started.Wait(ctx, 1); err != nil {
		return err
	}
	return l.progress.Wait(ctx, position)
}

// WaitForProbe is Wait for a position in the log of probes.
func (l *Live) WaitForProbe(ctx context.Context, position uint64) error {
	if err := l.started.Wait(ctx, 1); err != nil {
		return err
	}
	return l.probes.Wait(ctx, position)
}

// WaitForApproval is Wait for a position in the log of approvals.
func (l *Live) WaitForApproval(ctx context.Context, position uint64) error {
	if err := l.started.Wait(ctx, 1); err != nil {
		return err
	}
	return l.approvals.Wait(ctx, position)
}

// Status returns the status without making requests.
func (l *Live) Status() Status {
	l.mu.RLock()
	defer l.mu.RUnlock()
	status := l.status
	status.Shown = Positions{Integrations: l.progress.Position(), Probes: l.probes.Position(), Approvals: l.approvals.Position()}
	status.Head.Integrations = max(status.Head.Integrations, status.Shown.Integrations)
	status.Head.Probes = max(status.Head.Probes, status.Shown.Probes)
	status.Head.Approvals = max(status.Head.Approvals, status.Shown.Approvals)
	return status
}
