package transport

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/transparency"
)

// serveTransparency adds what the trees show of all workspaces: sizes, hashes and signatures.
// Every valid key may read it.
func (s *Server) serveTransparency(r gin.IRoutes, limits *limiters) {
	open := func(handle func(*request) (answer, error), query string) gin.HandlerFunc {
		return func(c *gin.Context) {
			key, err := s.authenticate(c)
			if err == nil {
				err = limits.allow(c, key.ID, read, s.Now())
			}
			r := &request{Context: c, ctx: c.Request.Context(), key: key}
			if err == nil {
				err = r.refuseOtherParameters(query)
			}
			var a answer
			if err == nil {
				a, err = handle(r)
			}
			if err != nil {
				s.refuse(c, err)
				return
			}
			a.write(c)
		}
	}
	get(r, "/transparency", open(s.listTrees, ""))
	get(r, "/transparency/:log/checkpoint", open(s.getCheckpoint, ""))
	get(r, "/transparency/:log/checkpoint/proof", open(s.proveConsistency, "from"))
	get(r, "/transparency/:log/tile/:level/*index", open(s.getTile, ""))
}

// treeAnswer is the tree of a log.
type treeAnswer struct {
	Log         transparency.Log `json:"log"`
	Size        uint64           `json:"size"`
	Checkpoint  string           `json:"checkpoint"`
	VerifierKey string           `json:"verifier_key"`
	PublicKey   string           `json:"public_key"`
}

func (s *Server) listTrees(r *request) (answer, error) {
	all := []treeAnswer{}
	for _, log := range transparency.Logs() {
		state, err := s.Proofs.Trees.State(r, log)
		if domain.KindOf(err) == domain.NotFound {
			continue
		}
		if err != nil {
			return answer{}, err
		}
		c := state.Checkpoint(log)
		all = append(all, treeAnswer{log, c.Size, c.Note, s.Proofs.Key.Verifier(c.Origin), s.Proofs.Key.Public()})
	}
	return answer{status: http.StatusOK, body: struct {
		Items []treeAnswer `json:"items"`
	}{all}}, nil
}

func (s *Server) getCheckpoint(r *request) (answer, error) {
	log, err := logOf(r.Param("log"))
	if err != nil {
		return answer{}, err
	}
	state, err := s.Proofs.Trees.State(r, log)
	if err != nil {
		return answer{}, err
	}
	return r.send("text/plain; charset=utf-8", []byte(state.Note)), nil
}

// consistencyAnswer shows that an earlier tree is the beginning of the present one.
type consistencyAnswer struct {
	From       uint64              `json:"from"`
	Size       uint64              `json:"size"`
	Hashes     []transparency.Hash `json:"hashes"`
	Checkpoint string              `json:"checkpoint"`
}

func (s *Server) proveConsistency(r *request) (answer, error) {
	log, err := logOf(r.Param("log"))
	if err != nil {
		return answer{}, err
	}
	q := r.query()
	from := uint64(1)
	if text, given := q.text("from"); given {
		if from, err = strconv.ParseUint(text, 10, 63); err != nil || from == 0 {
			q.problem("from", "range", "must be the size of an earlier checkpoint, at least 1")
		}
	}
	if err := domain.RefuseAll(q.problems); err != nil {
		return answer{}, err
	}
	c, err := s.Proofs.Consistency(r, log, from)
	if err != nil {
		return answer{}, err
	}
	return answer{status: http.StatusOK, body: consistencyAnswer{From: from, Size: c.Checkpoint.Size, Hashes: orEmpty(c.Hashes), Checkpoint: c.Checkpoint.Note}}, nil
}

// tilePath is the end of the path of a tile (C2SP tlog-tiles): x001/x234/067, or
// x001/x234/067.p/8 of one that has 8 hashes.
var tilePath = regexp.MustCompile(`^/((?:x[0-9]{3}/){0,4}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?$`)

func (s *Server) getTile(r *request) (answer, error) {
	log, err := logOf(r.Param("log"))
	if err != nil {
		return answer{}, err
	}
	noTile := domain.Errorf(domain.NotFound, "tile_not_found", "there is no such tile in the last checkpoint")
	level, err := strconv.ParseUint(r.Param("level"), 10, 6)
	parts := tilePath.FindStringSubmatch(r.Param("index"))
	if err != nil || parts == nil || fmt.Sprint(level) != r.Param("level") {
		return answer{}, noTile
	}
	index, err := strconv.ParseUint(strings.NewReplacer("x", "", "/", "").Replace(parts[1]), 10, 63)
	if err != nil {
		return answer{}, noTile
	}
	width := transparency.TileWidth
	if parts[2] != "" {
		if width, err = strconv.Atoi(parts[2]); err != nil || width >= transparency.TileWidth {
			return answer{}, noTile
		}
	}
	state, err := s.Proofs.Trees.State(r, log)
	if err != nil {
		return answer{}, err
	}
	hashes, err := s.Proofs.Trees.Tile(r, log, state, int(level), index)
	if err != nil {
		return answer{}, err
	}
	if len(hashes) < width {
		return answer{}, noTile
	}
	return r.send("application/octet-stream", transparency.EncodeTile(hashes[:width])), nil
}

// send answers with a body that is not JSON.
func (r *request) send(media string, body []byte) answer {
	r.Data(http.StatusOK, media, body)
	return answer{done: true}
}
