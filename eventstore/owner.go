package eventstore

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/streams"
)

// The limits of the log are changed by their owner only. JetStream has no condition for an update, and one
// that was sent may arrive after others have gone on. So each update has a subject of its sender in it, its
// token, and the next owner gives that subject to another stream: from then on the server refuses the update,
// since the subjects of two streams must not overlap.
//
// Who becomes the owner adds its token to a list first, and then takes away all tokens that are before
// it there. The log alone does not show them all: an update may have replaced a token that its sender has not seen.
const (
	ownersKey   = "limits.owners" // in LOG_STATE: the list of tokens
	tokenPrefix = "prune."        // of tokens
	voidPrefix  = "PRUNE_VOID_"   // of the streams that take a token away
	voidFor     = 24 * time.Hour  // longer than any request is on its way
	takeOvers   = 5               // tries, while an update of an earlier owner arrives again and again
)

// ErrPruneInterrupted is returned by Prune when another process has ended it.
var ErrPruneInterrupted = errors.New("the removal of archived events was interrupted; run it again")

// owner is who could change the limits of the log, until it is followed by another one.
type owner struct {
	Token string    `json:"token"`
	Since time.Time `json:"since"`
}

// own becomes the owner of the limits, and has the log refuse appends. It returns the token of the owner.
func (s *Store) own(ctx context.Context) (string, error) {
	if err := s.CheckPrunable(ctx); err != nil {
		return "", err
	}
	token, earlier, err := s.newOwner(ctx)
	if err != nil {
		return "", err
	}
	return token, s.takeOver(ctx, token, earlier)
}

// newOwner adds a token to the list, and returns it and those before it.
func (s *Store) newOwner(ctx context.Context) (token string, earlier []string, err error) {
	token = tokenPrefix + rand.Text()
	for {
		info, err := s.info(ctx)
		if err != nil {
			return "", nil, err
		}
		msg, err := s.lastFromLeader(ctx, "KV_"+stateBucket, "$KV."+stateBucket+"."+ownersKey)
		if err != nil {
			return "", nil, err
		}
		var owners []owner
		revision := uint64(0)
		if msg != nil {
			if err := json.Unmarshal(msg.Data, &owners); err != nil {
				return "", nil, fmt.Errorf("read the owners of the limits of the log: %w", err)
			}
			revision = msg.Sequence
		}
		owners = slices.DeleteFunc(owners, func(o owner) bool { return info.TimeStamp.Sub(o.Since) > voidFor })
		for _, token := range append(tokensOf(info.Config), token) {
			if !slices.ContainsFunc(owners, func(o owner) bool { return o.Token == token }) {
				owners = append(owners, owner{token, info.TimeStamp})
			}
		}
		data, err := json.Marshal(owners)
		if err != nil {
			return "", nil, fmt.Errorf("write the owners of the limits of the log: %w", err)
		}
		putting, cancel := context.WithTimeout(ctx, s.timeout)
		_, err = s.state.Update(putting, ownersKey, data, revision)
		cancel()
		switch {
		case errors.Is(err, jetstream.ErrKeyExists), streams.IsConflict(err):
			continue
		case err != nil:
			return "", nil, unavailable(err, "become the owner of the limits of the log")
		}
		for _, o := range owners[:len(owners)-1] {
			earlier = append(earlier, o.Token)
		}
		return token, earlier, nil
	}
}

// tokensOf returns the tokens among the subjects of the log.
func tokensOf(c jetstream.StreamConfig) []string {
	return slices.DeleteFunc(slices.Clone(c.Subjects), func(subject string) bool { return !strings.HasPrefix(subject, tokenPrefix) })
}

// takeOver gives a token to the log, and takes the earlier ones away. The error is ErrPruneInterrupted when
// there is a later one.
func (s *Store) takeOver(ctx context.Context, token string, earlier []string) error {
	for range takeOvers {
		info, err := s.info(ctx)
		if err != nil {
			return err
		}
		c := info.Config
		for _, now := range tokensOf(c) {
			if now != token && !slices.Contains(earlier, now) {
				return ErrPruneInterrupted
			}
		}
		c.Subjects = append(slices.DeleteFunc(slices.Clone(c.Subjects), func(subject string) bool { return strings.HasPrefix(subject, tokenPrefix) }), token)
		refuseAppends(&c, info.State.Msgs)
		c.MaxMsgsPerSubject, c.DiscardNewPerSubject = -1, false
		if err := s.updateAs(ctx, c); err != nil {
			return err
		}
		void := true
		for _, subject := range earlier {
			is, err := s.void(ctx, subject, c.Replicas)
			if err != nil {
				return err
			}
			void = void && is
		}
		if void {
			return s.dropVoid(ctx)
		}
	}
	return ErrPruneInterrupted
}

// void takes a token away from its owner. It reports false when the log has it again.
func (s *Store) void(ctx context.Context, token string, replicas int) (bool, error) {
	ctx, cancel := s.answering(ctx, updateWait)
	defer cancel()
	_, err := s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: voidPrefix + strings.TrimPrefix(token, tokenPrefix), Subjects: []string{token}, MaxMsgs: 1, Replicas: replicas,
	})
	if overlaps(err) {
		return false, nil
	}
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		err = nil
	}
	if err != nil {
		return false, unavailable(err, "become the owner of the limits of the log")
	}
	return true, nil
}

// overlaps reports whether the server has refused a stream because another one has a subject of it.
func overlaps(err error) bool {
	refused, ok := errors.AsType[*jetstream.APIError](err)
	return ok && refused.ErrorCode == overlapCode
}

// dropVoid deletes the streams of tokens that nobody can use any more.
func (s *Store) dropVoid(ctx context.Context) error {
	all := s.js.ListStreams(ctx)
	for info := range all.Info() {
		if strings.HasPrefix(info.Config.Name, voidPrefix) && info.TimeStamp.Sub(info.Created) > voidFor {
			if err := s.js.DeleteStream(ctx, info.Config.Name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
				return unavailable(err, "delete "+info.Config.Name)
			}
		}
	}
	if err := all.Err(); err != nil {
		return unavailable(err, "list streams")
	}
	return nil
}

// limitAs changes the limits of the log as their owner. The error is ErrPruneInterrupted when another
// process has become that.
func (s *Store) limitAs(ctx context.Context, token string, change func(*jetstream.StreamConfig)) error {
	info, err := s.info(ctx)
	if err != nil {
		return err
	}
	c := info.Config
	if !slices.Contains(c.Subjects, token) {
		return ErrPruneInterrupted
	}
	change(&c)
	return s.updateAs(ctx, c)
}

// updateAs is update with the token of an owner. The error is ErrPruneInterrupted when it was taken away.
func (s *Store) updateAs(ctx context.Context, c jetstream.StreamConfig) error {
	err := s.update(ctx, c)
	if overlaps(err) {
		return ErrPruneInterrupted
	}
	return err
}
