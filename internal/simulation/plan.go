package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Kind is what a step does.
type Kind string

// The operations of clients, and the faults.
const (
	Create Kind = "create"
	Update Kind = "update"
	Delete Kind = "delete"
	Get    Kind = "get"  // from the read model
	Look   Kind = "look" // from the log: a dry run
	Hook   Kind = "hook" // creates a webhook destination

	Crash      Kind = "crash"      // a service loses its memory and starts again
	Cut        Kind = "cut"        // a service loses its connection to NATS
	Restart    Kind = "restart"    // the NATS server loses its memory and starts again
	Lag        Kind = "lag"        // followers of a stream are behind
	Leaderless Kind = "leaderless" // a stream has no leader
	Lossy      Kind = "lossy"      // messages are lost, acknowledgements more often than others
	Slow       Kind = "slow"       // messages take long
	Stop       Kind = "stop"       // a service ends as it does after a signal, and starts again
)

func (k Kind) writes() bool { return k == Create || k == Update || k == Delete }

// Step is one thing that happens.
type Step struct {
	At        time.Duration `json:"at"` // since the start
	Do        Kind          `json:"do"`
	Number    int           `json:"number"`               // of the step in its plan
	On        string        `json:"on,omitempty"`         // the service that is asked, or that it happens to
	Of        string        `json:"of,omitempty"`         // the integration, or the stream; empty: all streams
	For       time.Duration `json:"for,omitempty"`        // how long a fault lasts
	Key       bool          `json:"key,omitempty"`        // with an idempotency key: it is repeated until it has an answer
	Twice     bool          `json:"twice,omitempty"`      // the same request is made twice at once, with an idempotency key
	Secret    bool          `json:"secret,omitempty"`     // with a secret
	IfVersion bool          `json:"if_version,omitempty"` // only on the version that was seen last
	Lose      bool          `json:"lose,omitempty"`       // a crash: with the folder of the service
	Burst     int           `json:"burst,omitempty"`      // so many updates of other integrations at once
}

// length is how long operations and faults go on in a run.
const length = 40 * time.Second

var (
	services = []string{"a", "b"}
	names    = []string{"crm", "ehr", "fax", "lab"}
	lagging  = []string{"INTEGRATIONS", "SECRETS", "KV_WEBHOOK_DESTINATIONS", ""}
	faulty   = []string{"INTEGRATIONS", "INTEGRATIONS", "WEBHOOKS", "KV_WEBHOOK_DESTINATIONS", "KV_IDEMPOTENCY", "KV_LEASES", "KV_SUBSCRIBERS", "SECRETS", ""}
)

// Plan returns the steps that follow from a seed.
func Plan(seed uint64) []Step {
	r := rand.New(rand.NewPCG(seed, 1))
	var steps []Step
	add := func(s Step) { steps = append(steps, s) }
	some := func(least, most time.Duration) time.Duration {
		return least + time.Duration(r.Int64N(int64(most-least)))
	}
	add(Step{At: 4 * time.Second, Do: Hook, On: "a"})
	for at := 5 * time.Second; at < length; at += some(20*time.Millisecond, 600*time.Millisecond) {
		s := Step{At: at, On: pick(r, services), Of: pick(r, names)}
		switch roll := r.IntN(100); {
		case roll < 25:
			s.Do = Create
		case roll < 60:
			s.Do = Update
		case roll < 72:
			s.Do = Delete
		case roll < 80:
			s.Do = Look
		case roll < 97:
			s.Do = Get
		case roll < 98:
			s.Do, s.Of = Hook, ""
		default:
			s.Do, s.Of, s.Burst = Update, "many", 24+r.IntN(40)
		}
		s.Key = s.Do.writes() && r.IntN(3) == 0
		s.Twice = s.Key && r.IntN(3) == 0
		s.Secret = (s.Do == Create || s.Do == Update) && r.IntN(4) == 0
		s.IfVersion = (s.Do == Update || s.Do == Delete) && r.IntN(4) == 0
		add(s)
		if r.IntN(4) == 0 { // another at the same time, on the same integration
			s.On, s.At = pick(r, services), s.At+some(1, 3*time.Millisecond)
			add(s)
		}
	}
	for range 4 + r.IntN(8) {
		s := Step{At: some(5*time.Second, length-2*time.Second), On: pick(r, services), For: some(100*time.Millisecond, 6*time.Second)}
		switch s.Do = pick(r, []Kind{Crash, Crash, Crash, Cut, Restart, Lag, Lag, Lag, Leaderless, Lossy, Lossy, Slow, Stop}); s.Do {
		case Leaderless:
			s.On, s.Of = "", pick(r, faulty)
		case Lag:
			s.On, s.Of = "", pick(r, lagging)
		case Restart, Lossy, Slow:
			s.On = ""
		default: // it happens to a service
		}
		s.Lose = s.Do == Crash && r.IntN(3) == 0
		add(s)
		if s.Lose && r.IntN(2) == 0 { // what it builds a read model from is behind
			add(Step{At: s.At + some(0, s.For), Do: Lag, For: 4 * time.Second, Of: pick(r, lagging)})
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return int(a.At - b.At) })
	for n := range steps {
		steps[n].Number = n + 1
	}
	return steps
}

func pick[T any](r *rand.Rand, of []T) T { return of[r.IntN(len(of))] }

// replicasOf returns how many replicas the streams of a run have.
func replicasOf(seed uint64) int {
	if seed%3 == 0 {
		return 1
	}
	return 3
}

// String describes the step.
func (s Step) String() string {
	text := string(s.Do)
	for _, part := range []string{s.Of, prefixed("on ", s.On)} {
		if part != "" {
			text += " " + part
		}
	}
	if s.For > 0 {
		text += " for " + s.For.Round(time.Millisecond).String()
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{s.Key, "with a key"}, {s.Twice, "twice"}, {s.Secret, "with a secret"}, {s.IfVersion, "if its version is the last seen"}, {s.Lose, "with its folder"}, {s.Burst > 0, fmt.Sprint(s.Burst, " at once")}} {
		if flag.set {
			text += ", " + flag.name
		}
	}
	return text
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
