package objects_test

import (
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/internal/objects"
)

// stores are the places that a test uses. S3_PLACE=s3://BUCKET AWS_ENDPOINT_URL=http://127.0.0.1:5000 go test ./internal/objects,
// with the credentials in the environment, adds a bucket in moto or another implementation of S3.
func stores(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{"folder": filepath.Join(t.TempDir(), "archive")}
	if bucket := os.Getenv("S3_PLACE"); bucket != "" {
		all["bucket"] = bucket + "/" + rand.Text()
	}
	return all
}

func open(t *testing.T, place string) objects.Store {
	t.Helper()
	s, err := objects.Open(place)
	require.NoError(t, err)
	return s
}

func TestAnObjectIsKeptAndNeverReplaced(t *testing.T) {
	for kind, place := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			s := open(t, place)
			names, err := s.Names(t.Context(), "calls")
			require.NoError(t, err)
			require.Empty(t, names)
			require.NoError(t, s.Put(t.Context(), "calls/1.txt", []byte("one")))
			require.NoError(t, s.Put(t.Context(), "calls/2.txt", nil))
			require.NoError(t, s.Put(t.Context(), "calls/below/3.txt", []byte("three")))
			require.NoError(t, s.Put(t.Context(), "calls2/4.txt", []byte("four")))
			require.ErrorIs(t, s.Put(t.Context(), "calls/1.txt", []byte("another")), objects.ErrExists)
			require.NoError(t, s.Put(t.Context(), "calls/1.txt", []byte("one")), "it is there already")

			names, err = s.Names(t.Context(), "calls")
			require.NoError(t, err)
			require.Equal(t, []string{"calls/1.txt", "calls/2.txt", "calls/below/"}, names)
			for name, want := range map[string]string{"calls/1.txt": "one", "calls/2.txt": "", "calls/below/3.txt": "three"} {
				got, err := s.Get(t.Context(), name)
				require.NoError(t, err)
				require.Equal(t, want, string(got))
			}
			_, err = s.Get(t.Context(), "calls/5.txt")
			require.Error(t, err)
		})
	}
}

func TestOfManyWritersOfAnObjectOneWins(t *testing.T) {
	for kind, place := range stores(t) {
		t.Run(kind, func(t *testing.T) {
			s := open(t, place)
			var mu sync.Mutex
			var won []string
			var all sync.WaitGroup
			for _, text := range []string{"a", "b", "c", "d"} {
				all.Go(func() {
					err := s.Put(t.Context(), "one", []byte(text))
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						won = append(won, text)
					} else if !errors.Is(err, objects.ErrExists) {
						t.Error(err)
					}
				})
			}
			all.Wait()
			require.Len(t, won, 1)
			got, err := s.Get(t.Context(), "one")
			require.NoError(t, err)
			require.Equal(t, won[0], string(got))
		})
	}
}

func TestAPlaceThatIsNoneIsRefused(t *testing.T) {
	for _, place := range []string{"", "s3://", "s3:///prefix", "s3://user@bucket", "S3://bucket", "gs://bucket/prefix"} {
		_, err := objects.Open(place)
		require.Error(t, err, place)
	}
	for _, endpoint := range []string{"http://s3.example.com", "https://user:word@s3.example.com", "ftp://127.0.0.1", "s3.example.com"} {
		t.Setenv("AWS_ENDPOINT_URL", endpoint)
		_, err := objects.Open("s3://bucket")
		require.ErrorContains(t, err, "AWS_ENDPOINT_URL", endpoint)
		require.NotContains(t, err.Error(), "word")
	}
}

func TestWhatIsNoRegularFileIsRefused(t *testing.T) {
	place := t.TempDir()
	require.NoError(t, syscall.Mkfifo(filepath.Join(place, "one"), 0o600))
	_, err := open(t, place).Get(t.Context(), "one")
	require.ErrorContains(t, err, "is not a regular file")
}

// The server keeps the object and breaks the connection, so the client sends the object again.
func TestAnObjectWhoseAnswerWasLostIsKept(t *testing.T) {
	for kept, want := range map[string]error{"one": nil, "another": objects.ErrExists} {
		t.Run(kept, func(t *testing.T) {
			var puts atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Method == http.MethodPut && puts.Add(1) == 1:
					panic(http.ErrAbortHandler)
				case r.Method == http.MethodPut:
					w.WriteHeader(http.StatusPreconditionFailed)
				default:
					w.Header().Set("ETag", `"1"`)
					w.Header().Set("Last-Modified", time.Unix(0, 0).UTC().Format(http.TimeFormat))
					_, _ = io.WriteString(w, kept)
				}
			}))
			t.Cleanup(server.Close)
			t.Setenv("AWS_ENDPOINT_URL", server.URL)
			t.Setenv("AWS_ACCESS_KEY_ID", "id")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			err := open(t, "s3://bucket").Put(t.Context(), "one", []byte("one"))
			require.True(t, errors.Is(err, want), "%v", err)
			require.EqualValues(t, 2, puts.Load())
		})
	}
}

// moto checks signatures after INITIAL_NO_AUTH_ACTION_COUNT requests; it then refuses every list whose
// prefix has a slash, from whichever client, so S3_SIGNED_PLACE is a variable of its own.
func TestAWrongKeyOfABucketIsRefused(t *testing.T) {
	place := os.Getenv("S3_SIGNED_PLACE")
	if place == "" {
		t.Skip("SKIPPED: S3_SIGNED_PLACE names no bucket")
	}
	place += "/" + rand.Text()
	s := open(t, place)
	require.NoError(t, s.Put(t.Context(), "one", []byte("1")))
	got, err := s.Get(t.Context(), "one")
	require.NoError(t, err)
	require.Equal(t, "1", string(got))
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	s = open(t, place)
	err = s.Put(t.Context(), "two", nil)
	require.ErrorContains(t, err, "signature")
	require.NotContains(t, err.Error(), "another")
	_, err = s.Get(t.Context(), "one")
	require.Error(t, err)
}
