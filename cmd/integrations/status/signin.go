package status

import (
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed677028b5/integrations/access/oidcauth"
)

// signInSubject is where running processes are asked whose tokens they accept.
const signInSubject = "status.sign-in"

// SignIn is whose tokens a running process accepts beside API keys.
type SignIn struct {
	Machine string `json:"machine"`
	oidcauth.Status
}

// Healthy reports whether the grants in force are those of the file, and the keys of the
// issuer are known.
func (s SignIn) Healthy() bool { return s.FileProblem == "" && s.Keys > 0 }

// AnswerSignIn answers each Read with what read returns, until stop is called.
func AnswerSignIn(nc *nats.Conn, machine string, read func() oidcauth.Status) (stop func(), err error) {
	sub, err := nc.Subscribe(signInSubject, func(m *nats.Msg) {
		if text, err := json.Marshal(SignIn{machine, read()}); err == nil {
			_ = m.Respond(text) // who asked may be gone
		}
	})
	if err != nil {
		return nil, err
	}
	return func() { _ = sub.Unsubscribe() }, nil
}

// The bounds of a question.
const (
	maxProcesses = 100
	answerWithin = 300 * time.Millisecond // of the answer before
)

// readSignIn asks the running processes. One that does not answer in time is left out.
func readSignIn(nc *nats.Conn) ([]SignIn, error) {
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	defer sub.Unsubscribe() //nolint:errcheck // the connection ends soon
	if err := nc.PublishRequest(signInSubject, inbox, nil); err != nil {
		return nil, err
	}
	var all []SignIn
	for len(all) < maxProcesses {
		m, err := sub.NextMsg(answerWithin)
		var one SignIn
		switch {
		case errors.Is(err, nats.ErrTimeout) || errors.Is(err, nats.ErrNoResponders):
			return all, nil
		case err != nil:
			return nil, err
		case json.Unmarshal(m.Data, &one) == nil:
			all = append(all, one)
		}
	}
	return all, nil
}
