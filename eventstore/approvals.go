package eventstore

import (
	"context"
	"fmt"
	"iter"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed677028b5/integrations/domain"
)

const (
	approvalName   = "APPROVALS"
	approvalPrefix = "approvals."
)

func approvalConfig(cfg Config) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: approvalName, Subjects: []string{approvalPrefix + "*.*.*"}, AllowDirect: true, Replicas: cfg.Replicas, DenyDelete: true, DenyPurge: true,
	}
}

// approvalFilter returns the subject of the events of the selected integrations.
func (of Selection) approvalFilter() string { return of.filter(approvalPrefix) + ".*" }

func approvalSubject(a domain.Approval) string {
	return subject(approvalPrefix, a.Workspace, a.Integration) + "." + a.ID
}

// AppendApproval stores an event of an approval after the one at a position, 0 for none, and
// returns its own position once it is on disk. It returns ErrConflict when another event
// follows that one. After any other error it may have been stored.
func (s *Store) AppendApproval(ctx context.Context, after uint64, e domain.Event, m domain.Metadata) (uint64, error) {
	a, ok := domain.ApprovalOf(e)
	if !ok || strings.ContainsAny(a.ID, ".*> ") {
		return 0, fmt.Errorf("append approval: %T is not about one", e)
	}
	if err := s.Intact(); err != nil {
		return 0, err
	}
	return s.record(ctx, approvalSubject(a), e, m, jetstream.WithExpectLastSequencePerSubject(after))
}

// LoadApproval returns the last event of an approval, as the leader of the stream has it; the
// zero Commit when there is none.
func (s *Store) LoadApproval(ctx context.Context, w domain.Workspace, integration domain.ID, id string) (Commit, error) {
	return s.lastApproval(ctx, subject(approvalPrefix, w, integration)+"."+id)
}

// FindApproval is LoadApproval for an approval of any integration of a workspace.
func (s *Store) FindApproval(ctx context.Context, w domain.Workspace, id string) (Commit, error) {
	return s.lastApproval(ctx, approvalPrefix+string(w)+".*."+id)
}

func (s *Store) lastApproval(ctx context.Context, of string) (Commit, error) {
	msg, err := s.lastFromLeader(ctx, approvalName, of)
	if err != nil || msg == nil {
		return Commit{}, err
	}
	c := s.commit(msg.Subject, msg.Sequence, msg.Header, msg.Data)
	return c, parked(c.Err)
}

// ApprovalHead returns the position of the last event of an approval, 0 when there is none.
func (s *Store) ApprovalHead(ctx context.Context) (uint64, error) { return s.head(ctx, approvalName) }

// ApprovalPage is Page for the stream of approvals.
func (s *Store) ApprovalPage(ctx context.Context, of Selection, after uint64, limit int) ([]Commit, bool, error) {
	return s.page(ctx, approvalName, of.approvalFilter(), after, limit)
}

// ApprovalPageBefore is PageBefore for the stream of approvals.
func (s *Store) ApprovalPageBefore(ctx context.Context, of Selection, before uint64, limit int) ([]Commit, bool, error) {
	if before == 0 {
		head, err := s.ApprovalHead(ctx)
		if err != nil {
			return nil, false, err
		}
		before = head + 1
	}
	return s.pageBefore(ctx, approvalName, of.approvalFilter(), before, firstStretch, limit)
}

// ApprovalsAfter is After for the stream of approvals.
func (s *Store) ApprovalsAfter(ctx context.Context, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, approvalName, nil, position)
}

// ApprovalsAfterIn is ApprovalsAfter for the selected integrations only.
func (s *Store) ApprovalsAfterIn(ctx context.Context, of Selection, position uint64) iter.Seq2[[]Commit, error] {
	return s.tail(ctx, approvalName, []string{of.approvalFilter()}, position)
}

// LatestApprovals reads the last event of each approval.
func (s *Store) LatestApprovals(ctx context.Context) (Latest, error) {
	return s.latest(ctx, approvalName, Selection{}.approvalFilter())
}

// ApprovalPosition is Position in the stream of approvals. The lineage keeps no positions of
// approvals: of a position in another log nothing is known, so everything is read again.
func (s *Store) ApprovalPosition(ctx context.Context, reader string) (position uint64, known bool, err error) {
	return s.position(ctx, reader, Lineage.LocateApproval, s.ApprovalHead)
}

// LocateApproval is Locate for a position among the approvals, of which the lineage keeps
// none: in another log a reader begins again.
func (l Lineage) LocateApproval(id string, position uint64) (uint64, bool) {
	if len(l.Epochs) < 2 || id == l.ID() {
		return position, true
	}
	return 0, position == 0
}
