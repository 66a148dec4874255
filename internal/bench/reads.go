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
		i := made(n*(l.Size/len(paths)), inEach, "")
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
		return l.listing(ctx, s, l.Size, inEach, query, same, by)
	}
}

// inLarge is how many integrations a large workspace has.
const inLarge = 50_000

// listsLarge is lists in one large workspace, of a service of its own.
func listsLarge(query string, same projections.Query, by func(measuring) measuring) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		size := min(inLarge, 5*l.Size) // a small bench stays small
		s, err := l.serveFilled(ctx, "large", filling{integrations: size, each: size})
		if err != nil {
			return pair{}, err
		}
		p, err := l.listing(ctx, s, size, size, query, same, by)
		if err != nil {
			s.stop()
			return pair{}, err
		}
		return pair{figure: p.figure, limit: p.limit, end: func() { p.end(); s.stop() }}, nil
	}
}

// growth measures a page of the filled service beside the same page of one that
// has a hundredth of the integrations.
func growth(query string) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		s, err := l.theFilled(ctx)
		if err != nil {
			return pair{}, err
		}
		fewer := max(l.Size/100, 1)
		small, err := l.serveFilled(ctx, "hundredth", filling{integrations: fewer, each: inEach})
		if err != nil {
			return pair{}, err
		}
		return pair{
			figure: byP99(l.busy(1, l.page(s, l.Size, inEach, query))), limit: byP99(l.busy(1, l.page(small, fewer, inEach, query))), end: small.stop,
		}, nil
	}
}

// listsWhole measures a page of one workspace that has all integrations beside a page of one of
// the workspaces of the filled service.
func listsWhole(query string) func(context.Context, *lab) (pair, error) {
	return func(ctx context.Context, l *lab) (pair, error) {
		small, err := l.theFilled(ctx)
		if err != nil {
			return pair{}, err
		}
		whole, err := l.serveFilled(ctx, "whole", filling{integrations: l.Size, each: l.Size})
		if err != nil {
			return pair{}, err
		}
		return pair{
			figure: byP50(l.busy(1, l.page(whole, l.Size, l.Size, query))), limit: byP50(l.busy(1, l.page(small, l.Size, inEach, query))), end: whole.stop,
		}, nil
	}
}

func (l *lab) listing(ctx context.Context, s *service, size, each int, query string, same projections.Query, by func(measuring) measuring) (pair, error) {
	store, err := s.openLive(ctx)
	if err != nil {
		return pair{}, err
	}
	same.Limit, same.CountTo = pageOf, countedTo
	straight := func(ctx context.Context, _, n int) error {
		_, err := store.Answers(ctx, workspace(n, size, each), same)
		return err
	}
	return pair{figure: by(l.busy(1, l.page(s, size, each, query))), limit: by(l.busy(1, straight)), end: func() { _ = store.Close() }}, nil
}

// page returns an operation that lists a page of one workspace after another.
func (l *lab) page(s *service, size, each int, query string) operation {
	return func(ctx context.Context, _, n int) error {
		return l.do(ctx, s, http.StatusOK, http.MethodGet, fmt.Sprintf("/v1/%s/integrations?limit=%d&%s", workspace(n, size, each), pageOf, query), "")
	}
}

// workspace returns one of the workspaces that size integrations are in.
func workspace(n, size, each int) domain.Workspace {
	workspaces := (size + each - 1) / each
	return made((n*37%workspaces)*each, each, "").Workspace
}

const pageOf = 50

// countedTo is how many matches of a search the service counts.
const countedTo = 1000

// openLive opens the read model of a service beside it.
func (s *service) openLive(ctx context.Context) (projections.Store, error) {
	g := sqlite.Generations{Folder: s.data, Log: slog.New(slog.DiscardHandler)}
	n, err := g.Live(ctx)
	if err != nil {
		return nil, err
	}
	return g.Open(ctx, n)
}
