package transport_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
)

// verifier is an authorization server that fetches the keys of its client by their URL,
// keeps them for a while, and refuses an assertion of a key that it does not have.
type verifier struct {
	mu      sync.Mutex
	url     string // of the key set
	set     jose.JSONWebKeySet
	fetched time.Time
	kids    map[string]bool
	refused atomic.Int32
}

// keySetKept is how long the verifier keeps a key set: shorter than the pause from which
// the next key signs.
const keySetKept = 300 * time.Millisecond

func (v *verifier) issue(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if time.Since(v.fetched) > keySetKept {
		resp, err := http.Get(v.url)
		if err == nil {
			err = json.NewDecoder(resp.Body).Decode(&v.set)
			_ = resp.Body.Close()
		}
		if err != nil {
			v.refused.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		v.fetched = time.Now()
	}
	signed, err := jose.ParseSignedCompact(r.FormValue("client_assertion"), []jose.SignatureAlgorithm{jose.ES384})
	if err == nil {
		kid := signed.Signatures[0].Header.KeyID
		if keys := v.set.Key(kid); len(keys) != 1 {
			err = errors.New("the key is not known")
		} else if _, err = signed.Verify(keys[0]); err == nil {
			v.kids[kid] = true
		}
	}
	if err != nil {
		v.refused.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error": "invalid_client"}`))
		return
	}
	_, _ = w.Write([]byte(`{"access_token": "token", "expires_in": 0}`)) // so that each call takes another
}

// rotationTrial names the variable that has the test below take so long, with 100 calls begun in
// each second. Without it, it takes the time of two rotations, with four calls at a time.
const rotationTrial = "ROTATION_TRIAL"

func TestNoCallFailsWhileAKeyIsRotated(t *testing.T) {
	t.Parallel()
	lasts, _ := time.ParseDuration(os.Getenv(rotationTrial))
	const pace, atOnce = time.Second / 100, 48
	s := serve(t)
	v := &verifier{kids: map[string]bool{}}
	tokens := listen(t, v.issue)
	u := listen(t, nil)
	s.create(rest("rotating", u.url, generated("ES384"), members{"protocol": "rest", "endpoints": []any{endpoint("list")}}))
	s.put("/integrations/rotating", members{"auth": members{"token_url": tokens.url}}).is(200)
	path, _ := s.get("/integrations/rotating/signing-keys").is(200).at("key_set_path").(string)
	v.url = s.url + path

	var calls, failed, busy atomic.Int32
	done := make(chan struct{})
	var callers sync.WaitGroup
	call := func() {
		calls.Add(1)
		if got := s.post("/integrations/rotating/endpoints/list/test", members{}); got.status != 200 || got.at("error") != nil {
			failed.Add(1)
		}
	}
	if lasts > 0 {
		callers.Go(func() {
			slots := make(chan struct{}, atOnce)
			for due := time.Now(); ; due = due.Add(pace) {
				select {
				case <-done:
					return
				case <-time.After(time.Until(due)):
				}
				select {
				case slots <- struct{}{}:
					callers.Go(func() { call(); <-slots })
				default: // it is behind
					busy.Add(1)
				}
			}
		})
	} else {
		for range 4 {
			callers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
						call()
					}
				}
			})
		}
	}
	began := time.Now()
	for rotations := 0; rotations < 2 || time.Since(began) < lasts; rotations++ {
		s.post("/integrations/rotating/signing-keys/rotate", members{"publish_seconds": 1, "overlap_seconds": 1}).is(200)
		before := calls.Load()
		soon(t, func() bool {
			items, _ := s.get("/integrations/rotating/signing-keys").is(200).at("items").([]any)
			return len(items) == 1 && calls.Load() > before
		})
	}
	took := time.Since(began)
	close(done)
	callers.Wait()
	require.Zero(t, v.refused.Load())
	require.Zero(t, failed.Load(), "of %d calls", calls.Load())
	v.mu.Lock()
	defer v.mu.Unlock()
	require.GreaterOrEqual(t, len(v.kids), 3, "each key has signed")
	t.Logf("%d calls in %v, %.0f a second, %d keys, %d calls not begun because %d were under way", calls.Load(), took.Round(time.Millisecond), float64(calls.Load())/took.Seconds(), len(v.kids), busy.Load(), atOnce)
}
