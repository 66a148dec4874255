package transport

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/transparency"
	"github.com/seed677028b5/integrations/transparency/trees"
)

// inclusionAnswer shows that an event is in the log.
type inclusionAnswer struct {
	Log         transparency.Log    `json:"log"`
	Position    uint64              `json:"position"`
	Entry       []byte              `json:"entry"` // of which the leaf is the hash
	LeafHash    transparency.Hash   `json:"leaf_hash"`
	Hashes      []transparency.Hash `json:"hashes"`
	Size        uint64              `json:"size"`
	Checkpoint  string              `json:"checkpoint"`
	VerifierKey string              `json:"verifier_key"`
}

func (s *Server) proveEvent(r *request) (answer, error) { return s.prove(r, transparency.Integrations) }

func (s *Server) proveCall(r *request) (answer, error) { return s.prove(r, transparency.Calls) }

func (s *Server) prove(r *request, log transparency.Log) (answer, error) {
	position, err := strconv.ParseUint(r.Param("position"), 10, 63)
	if err != nil {
		return answer{}, domain.Errorf(domain.NotFound, "position_not_found", "this workspace has no event at position %q", r.Param("position"))
	}
	p, err := s.Proofs.Inclusion(r, log, r.workspace, position)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: inclusionAnswer{
		Log: log, Position: position, Entry: p.Entry.Encode(), LeafHash: p.Leaf, Hashes: orEmpty(p.Hashes), Size: p.Checkpoint.Size,
		Checkpoint: p.Checkpoint.Note, VerifierKey: s.Proofs.Key.Verifier(p.Checkpoint.Origin),
	}}, nil
}

// exportLog writes the events of the workspace, and hashes of those of the others.
func (s *Server) exportLog(r *request) (answer, error) {
	log, err := logOf(r.Param("log"))
	if err != nil {
		return answer{}, err
	}
	q := r.query()
	sizes := q.sizes("checkpoint_size")
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	if _, err := s.Proofs.Trees.State(r, log); err != nil {
		return answer{}, err
	}
	if r.Request.Method == http.MethodHead {
		return answer{status: http.StatusOK, header: map[string]string{"Content-Type": ndjson}}, nil
	}
	out := &beginning{begin: func() stream { return s.newStream(r, ndjson) }}
	err = s.Proofs.Export(r, out, trees.Export{Log: log, Workspace: r.workspace, Sizes: sizes})
	switch {
	case err != nil && !out.begun:
		return answer{}, err
	case err != nil:
		s.breakOff(r, err)
	}
	_ = out.flush() // else the caller disconnected
	return answer{done: true}, nil
}

// beginning is a stream whose headers are sent with the first write, so that an error before
// it has a status.
type beginning struct {
	stream

	begin func() stream
	begun bool
}

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	if !b.begun {
		b.stream, b.begun = b.begin(), true
	}
	return b.stream.Write(p)
}

// sizes reads whole numbers, separated by commas.
func (q *query) sizes(name string) []uint64 {
	text, given := q.text(name)
	if !given {
		return nil
	}
	var sizes []uint64
	for one := range strings.SplitSeq(text, ",") {
		size, err := strconv.ParseUint(one, 10, 63)
		if err != nil || len(sizes) == trees.MaxSizes {
			q.problem(name, "format", "must be at most "+strconv.Itoa(trees.MaxSizes)+" whole numbers, separated by commas")
			return nil
		}
		sizes = append(sizes, size)
	}
	return sizes
}

// logOf returns the log of a path.
func logOf(name string) (transparency.Log, error) {
	if log := transparency.Log(name); slices.Contains(transparency.Logs(), log) {
		return log, nil
	}
	return "", domain.Errorf(domain.NotFound, "log_not_found", "there is no such log")
}
