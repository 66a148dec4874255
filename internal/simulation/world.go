package simulation

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/seed677028b5/integrations/commands"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/natsmodel"
	"github.com/seed677028b5/integrations/vault"
)

// world is everything in a run.
type world struct {
	seed     uint64
	began    time.Time
	replicas int
	folder   string
	server   *natsmodel.Server
	net      *network
	receiver *receiver
	services map[string]*service
	logger   *slog.Logger
	rules    domain.Rules
	working  sync.WaitGroup // operations, and faults that last

	mu         sync.Mutex
	trace      []string
	problems   []string
	operations []*operation
	reads      []read
	seen       map[string]uint64 // the last version that was acknowledged or shown, by name
	newest     uint64            // the last position that was acknowledged
	hooks      []destination

	log []entry // at the end
}

// destination is a webhook destination that was acknowledged.
type destination struct {
	url   string
	after uint64
}

const workspace = domain.Workspace("acme")

func newWorld(c Config, settled func()) *world {
	w := &world{
		seed: c.Seed, began: time.Now(), replicas: replicasOf(c.Seed), folder: c.Folder, services: map[string]*service{}, seen: map[string]uint64{},
		net: &network{seed: c.Seed, sent: map[string]uint64{}}, rules: noRules(), logger: slog.New(slog.DiscardHandler),
	}
	if c.Log {
		w.logger = slog.New(slog.NewTextHandler(lines{w}, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: withoutTime}))
	}
	w.receiver = newReceiver(w)
	w.server = natsmodel.Start(natsmodel.Config{Settled: settled, Network: w.net})
	for n, name := range services {
		time.Sleep(time.Duration(n+1) * 70 * time.Millisecond)
		w.services[name] = &service{world: w, name: name, folder: filepath.Join(c.Folder, name), hooking: make(chan struct{}, 1)}
		w.services[name].start()
	}
	return w
}

// lines are what services log.
type lines struct{ world *world }

func (l lines) Write(line []byte) (int, error) {
	l.world.note("%s", line[:len(line)-1])
	return len(line), nil
}

func withoutTime(_ []string, a slog.Attr) slog.Attr {
	if a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// noRules are the rules of configurations without expressions.
func noRules() domain.Rules {
	return domain.Rules{
		Expression: func(string) error { return nil }, Template: func(string) error { return nil }, Schema: func([]byte) error { return nil },
	}
}

// rootKeys are the same for all services.
func (w *world) rootKeys() vault.RootKeys {
	return vault.RootKeys{File: filepath.Join(w.folder, "root.keyset")}
}

func (w *world) caller(request string) commands.Caller {
	return commands.Caller{Workspace: workspace, Actor: "client", RequestID: request}
}

// take makes a step happen. It returns at once.
func (w *world) take(s Step) {
	switch s.Do {
	case Create, Update, Delete, Look, Get, Hook:
		w.working.Go(func() { w.operate(s) })
		return
	case Crash, Stop:
		w.note("#%d %s", s.Number, s)
		w.working.Go(func() { w.services[s.On].again(s) })
		return
	default:
	}
	w.server.At(time.Now(), func() {
		w.note("#%d %s", s.Number, s)
		switch s.Do {
		case Cut:
			w.server.Cut(w.services[s.On].client(), s.For)
		case Restart:
			w.server.Restart(s.For)
		case Lag:
			w.server.Lag(s.Of, s.For)
		case Leaderless:
			w.server.Leaderless(s.Of, s.For)
		case Lossy, Slow:
			w.net.disturb(s.Do, time.Now().Add(s.For))
		default: // it is no fault of the network or of NATS
		}
	})
}

// healed is how long a run may take, once nothing fails any more, to reach what was promised.
const healed = 10 * time.Minute

// heal waits until nothing fails any more, and until everything that was promised is there,
// or can't be expected any more.
func (w *world) heal(end time.Time) {
	sleepUntil(end)
	w.working.Wait()
	w.net.calm()
	w.receiver.calm()
	w.note("nothing fails any more")
	w.server.At(time.Now(), w.server.Heal)
	for _, name := range services {
		<-w.services[name].ready()
	}
	deadline := time.Now().Add(healed)
	for {
		time.Sleep(time.Second)
		missing := w.missing()
		if missing == "" {
			return
		}
		if time.Now().After(deadline) {
			kind, what := cutKind(missing)
			w.problem(kind, "%s, %s after everything had healed", what, healed)
			return
		}
	}
}

// end ends everything, and finds what is left.
func (w *world) end() {
	for _, name := range services {
		w.services[name].end(false)
	}
	w.server.Close()
	time.Sleep(time.Minute)
	w.checkGoroutines()
}

// unique returns an id that no other has.
func (s *service) unique() string {
	return fmt.Sprintf("%s%d-%06d", s.name, s.generation.Load(), s.ids.Add(1))
}

// note adds a line to the trace.
func (w *world) note(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.trace = append(w.trace, fmt.Sprintf("%11.6fs  ", time.Since(w.began).Seconds())+fmt.Sprintf(format, args...))
}

// problem records a violated invariant; kind is the same for all of one kind.
func (w *world) problem(kind, format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, kind+": "+fmt.Sprintf(format, args...))
}
