package bench

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections"
	"github.com/seed677028b5/integrations/projections/sqlite"
)

// gets measures gets by id beside a Gin server that has the bytes at hand.
func gets(ctx context.Context, l *lab) (pair, error) {
	const connections = 64
	s, err := l.theFilled(ctx)
	if err != nil {
		return pair{}, err
	}
	paths := make([]string, min(l.Size, 10_000))
	for n := range paths {
		i := made(n*(l.Size/len(paths)), "")
		paths[n] = "/v1/" + string(i.Workspace) + "/integrations/" + string(i.ID)
	}
	var answer bytes.Buffer
	if err := l.exchange(ctx, s, http.StatusOK, http.MethodGet, paths[0], "", &answer); err != nil {
		return pair{}, err
	}
	file := filepath.Join(l.dir, "answer.json")
	if err := os.WriteFile(file, answer.Bytes(), 0o600); err != nil {
		return pair{}, err
	}
	gin, err := l.start(ctx, LimitCommand, "--kind="+ginKind, "--data="+file)
	if err != nil {
		return pair{}, err
	}
	of := func(s *service) measuring {
		return l.busy(connections, func(ctx context.Context, worker, n int) error {
			return l.do(ctx, s, http.StatusOK, http.MethodGet, paths[(worker*977+n*7919)%len(paths)], "")
		})
	}
	return pair{figure: of(s), limit: of(&service{child: gin, key: s.key}), end: gin.stop}, nil
}

// lists measures a page over HTTP beside the same query on the store, one at a
// time. Both go through the workspaces.
func lists(query string, same projections.Query, by func(measuring) measuring) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		s, err := l.theFilled(ctx)
		if err != nil {
			return pair{}, err
		}
		store, err := s.openLive(ctx)
		if err != nil {
			return pair{}, err
		}
		same.Limit = pageOf
		workspaces := (l.Size + inEach - 1) / inEach
		at := func(n int) domain.Workspace { return made((n*37%workspaces)*inEach, "").Workspace }
		overHTTP := func(ctx context.Context, _, n int) error {
			return l.do(ctx, s, http.StatusOK, http.MethodGet, fmt.Sprintf("/v1/%s/integrations?limit=%d&%s", at(n), pageOf, query), "")
		}
		straight := func(ctx context.Context, _, n int) error {
			_, err := store.List(ctx, at(n), same)
			return err
		}
		return pair{figure: by(l.busy(1, overHTTP)), limit: by(l.busy(1, straight)), end: func() { _ = store.Close() }}, nil
	}
}

const pageOf = 50

// openLive opens the read model of a service beside it.
func (s *service) openLive(ctx context.Context) (projections.Store, error) {
	g := sqlite.Generations{Folder: s.data, Log: slog.New(slog.DiscardHandler)}
	n, err := g.Live(ctx)
	if err != nil {
		return nil, err
	}
	return g.Open(ctx, n)
}
