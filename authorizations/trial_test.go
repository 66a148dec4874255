package authorizations_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/authorizations"
	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/internal/authservertest"
	"github.com/seed677028b5/integrations/internal/natstest"
	"github.com/seed677028b5/integrations/streams"
	"github.com/seed677028b5/integrations/vault"
)

// asWorker names the variable by which this program knows that it is one of the processes
// of a trial, and trialFor the one that has a trial take a time, such as 10m.
const (
	asWorker = "AUTHORIZATIONS_WORKER"
	trialFor = "AUTHORIZATIONS_TRIAL"
)

// work is what a worker is given.
type work struct {
	NATS        string
	Keys        string
	Clock       string // a file with how far the clock of all processes is ahead
	Integration domain.Integration
	DieAfter    int // kill -9 after this many answers of the token endpoint, before they are written; 0: never
}

// mortal kills its process after some answers.
type mortal struct {
	authorizations.Upstream

	left *atomic.Int64
}

func (m mortal) RequestToken(ctx context.Context, r domain.TokenRequest) domain.TokenAnswer {
	answer := m.Upstream.RequestToken(ctx, r)
	if answer.Outcome == domain.TokenGranted && m.left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return answer
}

// now returns the time of all processes of a trial.
func (w work) now() time.Time {
	text, _ := os.ReadFile(w.Clock)
	var ahead int64
	_, _ = fmt.Sscan(string(text), &ahead)
	return time.Now().UTC().Add(time.Duration(ahead))
}

// TestWorker is a process of the trial: for each line that it reads it gets a token, and
// writes what came of it.
func TestWorker(t *testing.T) {
	text := os.Getenv(asWorker)
	if text == "" {
		t.Skip("it is a process of the trial below")
	}
	var w work
	require.NoError(t, json.Unmarshal([]byte(text), &w))
	p := open(t, w.NATS, vault.RootKeys{File: w.Keys}, &atomic.Int64{})
	left := &atomic.Int64{}
	left.Store(int64(w.DieAfter))
	p.Upstream, p.Now = mortal{p.Upstream, left}, w.now
	p.use = authorizations.Use{Integration: w.Integration, Keyring: func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
		return p.vault.Open(ctx, w.Integration.Owner(), ref)
	}}
	var out sync.Mutex
	var calls sync.WaitGroup
	slots := make(chan struct{}, 4)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			got := "ok"
			if _, err := p.token(""); err != nil {
				got = "failed " + domain.CodeOf(err)
			}
			out.Lock()
			defer out.Unlock()
			_, _ = fmt.Fprintln(os.Stdout, "call", got)
		})
	}
	calls.Wait()
}

// A trial has several processes get tokens of one authorization.
type trial struct {
	t         *testing.T
	work      work
	afterKill time.Duration // how far the clock is moved, so that the lease of the killed process ends
	ahead     time.Duration
	ok        atomic.Int64
	failed    atomic.Int64
	lost      atomic.Int64 // of processes that were killed
	mu        sync.Mutex
	killed    int
	first     atomic.Pointer[string] // failure
}

// worker runs a process, and another one when that was killed, until lines ends. It dies
// after this many answers.
func (r *trial) worker(lines <-chan struct{}, dies int) {
	for r.run(lines, dies) {
		r.pass(r.afterKill, 1)
	}
}

// pass moves the clock of all processes.
func (r *trial) pass(d time.Duration, killed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.killed += killed
	if r.ahead += d; os.WriteFile(r.work.Clock+".new", fmt.Append(nil, int64(r.ahead)), 0o600) != nil || os.Rename(r.work.Clock+".new", r.work.Clock) != nil {
		r.t.Error("the clock can't be moved")
	}
}

func (r *trial) kills() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.killed
}

// run runs one process, and reports whether it was killed.
func (r *trial) run(lines <-chan struct{}, dies int) bool {
	w := r.work
	w.DieAfter = dies
	text, err := json.Marshal(w)
	if err != nil {
		r.t.Error(err)
		return false
	}
	program := exec.Command(os.Args[0], "-test.run=^TestWorker$", "-test.timeout=0")
	program.Env = append(os.Environ(), asWorker+"="+string(text))
	in, err := program.StdinPipe()
	if err != nil {
		r.t.Error(err)
		return false
	}
	out, err := program.StdoutPipe()
	if err != nil {
		r.t.Error(err)
		return false
	}
	if err := program.Start(); err != nil {
		r.t.Error(err)
		return false
	}
	ended, fed, answered := make(chan struct{}), make(chan int64, 1), int64(0)
	go func() { fed <- r.feed(in, lines, ended) }()
	for answers := bufio.NewScanner(out); answers.Scan(); {
		switch what, ok := strings.CutPrefix(answers.Text(), "call "); {
		case !ok:
			continue
		case what == "ok":
			r.ok.Add(1)
		default:
			r.failed.Add(1)
			if what != "failed token_endpoint_unavailable" || r.afterKill > 0 { // which follows two answers that were lost
				r.first.CompareAndSwap(nil, &what)
			}
		}
		answered++
	}
	err = program.Wait()
	close(ended)
	r.lost.Add(<-fed - answered)
	status, _ := program.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() && err != nil {
		r.t.Error(err)
	}
	return status.Signaled()
}

// feed passes lines on to a process, and returns how many.
func (r *trial) feed(in io.WriteCloser, lines <-chan struct{}, ended <-chan struct{}) (fed int64) {
	defer in.Close() //nolint:errcheck // the process may be gone
	for {
		select {
		case _, more := <-lines:
			if !more {
				return fed
			}
			fed++
			if _, err := fmt.Fprintln(in); err != nil {
				return fed
			}
		case <-ended:
			return fed
		}
	}
}

func TestProcessesThatAreKilledWhileAnswersAreLostNeverPresentATokenTwice(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED: it starts processes; run without -short")
	}
	t.Parallel()
	as := authservertest.New(t)
	as.Grace = 10 * time.Minute
	lasts, _ := time.ParseDuration(os.Getenv(trialFor))
	as.Lifetime = 3600
	afterKill, dies := 20*time.Second, 3
	if lasts > 0 { // by the clock of the machine
		as.Lifetime, afterKill, dies = 5, 0, 8
	}
	url, keys := natstest.Listen(t), filepath.Join(t.TempDir(), "root.keyset")
	i, sealed := integration(t, as, nil)
	parent := open(t, url, vault.RootKeys{File: keys}, &atomic.Int64{})
	parent.SetPublicURL("http://127.0.0.1:1")
	for _, secret := range sealed {
		require.NoError(t, parent.vault.Seal(t.Context(), i.Owner(), secret))
	}
	parent.use = authorizations.Use{Integration: i, Keyring: func(ctx context.Context, ref domain.SecretRef) (domain.Secret, error) {
		return parent.vault.Open(ctx, i.Owner(), ref)
	}}
	parent.signIn()
	r := &trial{t: t, afterKill: afterKill, work: work{NATS: url, Keys: keys, Integration: i, Clock: filepath.Join(t.TempDir(), "clock")}}
	lose(as, lasts > 0)
	lines := make(chan struct{})
	var workers sync.WaitGroup
	for n := range 3 {
		workers.Go(func() { r.worker(lines, n*dies) })
	}
	if lasts > 0 {
		r.forA(lasts, lines)
	} else {
		r.untilKilled(as, lines)
	}
	close(lines)
	workers.Wait()
	seen := as.Seen()
	t.Logf("%d calls, %d failed, %d refreshes, %d processes killed, %d tokens presented again after a whole answer, %d at once, %d families ended",
		r.ok.Load()+r.failed.Load(), r.failed.Load(), seen.Refreshes, r.kills(), seen.Repeats, seen.Overlaps, seen.Reuses)
	if first := r.first.Load(); first != nil {
		t.Error("the first failure:", *first)
	}
	require.Zero(t, seen.Overlaps)
	require.Zero(t, seen.Reuses)
	require.LessOrEqual(t, seen.Repeats, r.kills(), "only what a killed process did not write is asked for again")
	require.Equal(t, domain.IsAuthorized, parent.state().State)
}

// lose drops every fifth answer. In a long trial others are late: some by more than anybody
// waits.
func lose(as *authservertest.Server, long bool) {
	issued, held := 0, 0
	as.Do(func() {
		as.AfterIssue = func(http.ResponseWriter) bool {
			if issued++; issued%5 == 0 {
				panic(http.ErrAbortHandler)
			}
			return false
		}
		if !long {
			return
		}
		as.Hold = func() time.Duration {
			switch held++; {
			case held%17 == 0:
				return 35 * time.Second
			case held%3 == 0:
				return 2 * time.Second
			}
			return 0
		}
	})
}

// forA gives the processes work for a time.
func (r *trial) forA(lasts time.Duration, lines chan<- struct{}) {
	ctx, cancel := context.WithTimeout(r.t.Context(), lasts)
	defer cancel()
	for streams.Wait(ctx, 20*time.Millisecond) {
		select {
		case lines <- struct{}{}:
		case <-ctx.Done():
		}
	}
}

// untilKilled gives the processes work until some were killed. It moves their clock, so that
// tokens end, while no request is under way.
func (r *trial) untilKilled(as *authservertest.Server, lines chan<- struct{}) {
	for sent := int64(0); r.kills() < 2 || as.Seen().Refreshes < 10; {
		r.pass(2*time.Hour, 0)
		for range 6 {
			select {
			case lines <- struct{}{}:
				sent++
			case <-r.t.Context().Done():
				return
			}
		}
		for r.ok.Load()+r.failed.Load()+r.lost.Load() < sent && streams.Wait(r.t.Context(), time.Millisecond) {
		}
	}
}
