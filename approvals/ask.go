package approvals

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// claim binds what recognises a call to the approval that it was asked for with. It ends once
// the outcome was given to who asked.
type claim struct {
	Approval string `json:"approval"`
	revision uint64
}

// attempts is how often a request is tried again that conflicts with others.
const attempts = 8

// Ask asks for a call. While the same call waits, or is being made, it returns the approval of
// that. When it is over, it returns that approval once: the next one who asks gets a new one.
// It refuses with Conflict when too many of the workspace wait, or too many of who asks.
func (a *Approvals) Ask(ctx context.Context, ask Ask) (domain.Approval, error) {
	i, now := ask.Integration, a.Now()
	asked := domain.Approval{
		Workspace: i.Workspace, Integration: i.ID, Name: i.Name, Incarnation: i.Incarnation, ConfigVersion: i.Version, Endpoint: ask.Endpoint.Name,
		Method: ask.Endpoint.Method, Kind: ask.Kind, Key: ask.Key, Subject: a.SubjectMAC(i.Workspace, ask.Subject), RequestedAt: now, ExpiresAt: now.Add(a.Wait),
	}
	mac, err := a.parametersMAC(asked, ask.Request)
	if err != nil {
		return domain.Approval{}, err
	}
	asked.Parameters = mac
	for range attempts {
		c, known, err := a.claimed(ctx, mac)
		if err != nil {
			return domain.Approval{}, err
		}
		if !known {
			if c, err = a.claim(ctx, mac); errors.Is(err, eventstore.ErrConflict) {
				continue
			} else if err != nil {
				return domain.Approval{}, err
			}
		}
		last, err := a.Events.LoadApproval(ctx, i.Workspace, i.ID, c.Approval)
		if err != nil {
			return domain.Approval{}, err
		}
		present, there := domain.ApprovalOf(last.Event)
		present = present.Shown(now)
		switch {
		case !there:
			asked.ID = c.Approval
			made, err := a.request(ctx, asked, ask.Request)
			if errors.Is(err, eventstore.ErrConflict) { // the same call was asked for at the same time
				continue
			}
			return made, err
		case !present.Over():
			return present, nil
		}
		err = a.release(ctx, mac, c)
		switch {
		case errors.Is(err, eventstore.ErrConflict): // somebody else got it
			continue
		case err != nil:
			return domain.Approval{}, err
		case present.State != domain.ApprovalExpired:
			return present, nil
		}
	}
	return domain.Approval{}, domain.Errorf(domain.Conflict, "changing_too_fast", "the same call is being asked for too often; try again")
}

// request seals the request of an approval, then records it.
func (a *Approvals) request(ctx context.Context, asked domain.Approval, r Request) (domain.Approval, error) {
	if err := a.takePlace(ctx, asked); err != nil {
		return domain.Approval{}, err
	}
	e, err := domain.Approval{}.Request(asked)
	if err != nil {
		return domain.Approval{}, err
	}
	if err := a.seal(ctx, asked, requestRef(asked.ID), r); err != nil {
		return domain.Approval{}, err
	}
	position, err := a.append(ctx, 0, e, domain.Metadata{At: asked.RequestedAt, Actor: asked.Key, Address: r.Address, RequestID: r.RequestID, TraceParent: r.TraceParent})
	if err != nil {
		return domain.Approval{}, err // what was sealed may be needed; a sweep destroys it if not
	}
	shown, cancel := context.WithTimeout(ctx, showWithin)
	defer cancel()
	_ = a.Shown(shown, position) // so that who asked finds it in a list
	p, _ := domain.ApprovalOf(e)
	return p, nil
}

func (a *Approvals) seal(ctx context.Context, p domain.Approval, ref domain.SecretRef, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", ref.Field, err)
	}
	return a.Vault.Seal(ctx, p.Owner(), domain.SealedSecret{Ref: ref, Secret: domain.NewSecret(string(data))})
}

// claimed returns the claim under a key, as the leader has it.
func (a *Approvals) claimed(ctx context.Context, key string) (claim, bool, error) {
	msg, err := streams.LastFromLeader(ctx, a.nc, "KV_"+claimBucket, "$KV."+claimBucket+"."+key)
	switch {
	case err != nil:
		return claim{}, false, unavailable(err, "read a request for approval")
	case msg == nil || msg.Header.Get("KV-Operation") != "":
		return claim{}, false, nil
	}
	var c claim
	if err := json.Unmarshal(msg.Data, &c); err != nil {
		return claim{}, false, fmt.Errorf("read a request for approval: %w", err)
	}
	c.revision = msg.Sequence
	return c, true, nil
}

func (a *Approvals) claim(ctx context.Context, key string) (claim, error) {
	c := claim{Approval: a.NewID()}
	data, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	c.revision, err = a.claims.Create(ctx, key, data)
	switch {
	case errors.Is(err, jetstream.ErrKeyExists):
		return c, eventstore.ErrConflict
	case err != nil:
		return c, unavailable(err, "store a request for approval")
	}
	return c, nil
}

func (a *Approvals) release(ctx context.Context, key string, c claim) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	err := a.claims.Delete(ctx, key, jetstream.LastRevision(c.revision))
	switch {
	case streams.IsConflict(err), errors.Is(err, jetstream.ErrKeyExists):
		return eventstore.ErrConflict
	case err != nil:
		return unavailable(err, "end a request for approval")
	}
	return nil
}

// decodeExact decodes JSON with numbers as they are written.
func decodeExact(text string, into any) error {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return fmt.Errorf("read a sealed value of an approval: %w", err)
	}
	return nil
}
