package approvals

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/eventstore"
	"github.com/seed677028b5/integrations/streams"
)

// places are the approvals of a workspace that wait. All processes share one value, which is
// changed by compare-and-set, so that their limit holds however many ask at once.
type places struct {
	Taken    []place `json:"taken"`
	revision uint64
}

// place is one of them.
type place struct {
	Approval    string    `json:"approval"`
	Integration domain.ID `json:"integration"`
	Key         string    `json:"key"` // an HMAC of the one that asked
	At          time.Time `json:"at"`
	Until       time.Time `json:"until"` // when the approval expires
}

// recordedWithin is how long after its place was taken an approval is recorded at the latest.
const recordedWithin = time.Minute

// share returns the limit of places for a key, given how many others have: half of what they
// leave, so that the next one who asks finds one.
func share(others int) int { return (MaxWaiting - others + 1) / 2 }

// refusal refuses with Conflict another place for a key.
func (p places) refusal(key string) error {
	own := 0
	for _, one := range p.Taken {
		if one.Key == key {
			own++
		}
	}
	switch {
	case len(p.Taken) >= MaxWaiting:
		return domain.Errorf(domain.Conflict, "too_many_approvals", "%d calls of this workspace wait for approval already; have some decided first", MaxWaiting)
	case own >= share(len(p.Taken)-own):
		return domain.Errorf(domain.Conflict, "too_many_approvals", "%d calls of this API key wait for approval already, which is its share; have some decided first", own)
	}
	return nil
}

// takePlace takes a place for an approval that is about to be recorded. It refuses with
// Conflict when too many of the workspace wait, or too many of who asks.
func (a *Approvals) takePlace(ctx context.Context, p domain.Approval) error {
	asked := a.mac("place", string(p.Workspace), p.Key)
	return a.changePlaces(ctx, p.Workspace, func(now places) (places, error) {
		at := a.Now()
		now.Taken = slices.DeleteFunc(now.Taken, func(one place) bool { return !at.Before(one.Until) || one.Approval == p.ID })
		if now.refusal(asked) != nil {
			var err error
			if now.Taken, err = a.stillWaiting(ctx, p.Workspace, now.Taken); err != nil {
				return now, err
			}
		}
		if err := now.refusal(asked); err != nil {
			return now, err
		}
		now.Taken = append(now.Taken, place{Approval: p.ID, Integration: p.Integration, Key: asked, At: at, Until: p.ExpiresAt})
		return now, nil
	})
}

// leavePlace gives the place of an approval that waits no more to others. What fails is made
// good when the places run out.
func (a *Approvals) leavePlace(ctx context.Context, p domain.Approval) {
	_ = a.changePlaces(ctx, p.Workspace, func(now places) (places, error) {
		now.Taken = slices.DeleteFunc(now.Taken, func(one place) bool { return one.Approval == p.ID })
		return now, nil
	})
}

// stillWaiting returns the places of approvals that wait, by the log.
func (a *Approvals) stillWaiting(ctx context.Context, w domain.Workspace, taken []place) ([]place, error) {
	var waiting []place
	for _, one := range taken {
		last, err := a.Events.LoadApproval(ctx, w, one.Integration, one.Approval)
		if err != nil {
			return nil, err
		}
		p, recorded := domain.ApprovalOf(last.Event)
		if recorded && p.State == domain.ApprovalWaiting || !recorded && a.Now().Sub(one.At) < recordedWithin {
			waiting = append(waiting, one)
		}
	}
	return waiting, nil
}

// changePlaces changes the places of a workspace, until no other process was faster.
func (a *Approvals) changePlaces(ctx context.Context, w domain.Workspace, change func(places) (places, error)) error {
	ctx, cancel := context.WithTimeout(ctx, requestTime)
	defer cancel()
	for {
		now, err := a.readPlaces(ctx, w)
		if err != nil {
			return err
		}
		before := len(now.Taken)
		next, err := change(now)
		if err != nil {
			return err
		}
		if len(next.Taken) == before && len(next.Taken) == 0 {
			return nil
		}
		err = a.writePlaces(ctx, w, next)
		if !errors.Is(err, eventstore.ErrConflict) {
			return err
		}
		if !streams.Wait(ctx, time.Duration(1+rand.IntN(20))*time.Millisecond) { //nolint:gosec // a pause is no secret
			return domain.Errorf(domain.Unavailable, "approvals_unavailable", "too many calls are asked for at once; try again")
		}
	}
}

func placesKey(w domain.Workspace) string { return "places." + string(w) }

// readPlaces returns the places of a workspace, as the leader has them.
func (a *Approvals) readPlaces(ctx context.Context, w domain.Workspace) (places, error) {
	msg, err := streams.LastFromLeader(ctx, a.nc, "KV_"+claimBucket, "$KV."+claimBucket+"."+placesKey(w))
	switch {
	case err != nil:
		return places{}, unavailable(err, "read which approvals wait")
	case msg == nil || msg.Header.Get("KV-Operation") != "":
		return places{}, nil
	}
	var p places
	if err := json.Unmarshal(msg.Data, &p); err != nil {
		return places{}, fmt.Errorf("read which approvals wait: %w", err)
	}
	p.revision = msg.Sequence
	return p, nil
}

func (a *Approvals) writePlaces(ctx context.Context, w domain.Workspace, p places) error {
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	_, err = a.claims.Update(ctx, placesKey(w), data, p.revision) // revision 0: there is none yet
	switch {
	case streams.IsConflict(err), errors.Is(err, jetstream.ErrKeyExists):
		return eventstore.ErrConflict
	case err != nil:
		return unavailable(err, "store which approvals wait")
	}
	return nil
}
