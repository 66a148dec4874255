package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// scheduler is a small scheduling system, as an integration would meet one: it
// has slots, takes bookings, wants an API key and can break.
type scheduler struct {
	url    string
	server *http.Server
	broken atomic.Bool
	booked atomic.Int64
}

// schedulerKey is what the scheduler wants in X-API-Key.
const schedulerKey = "demo-key-1f9c72"

func startScheduler(ctx context.Context) (*scheduler, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &scheduler{url: "http://" + l.Addr().String() + "/api"}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/{$}", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]any{"status": "up"})
	})
	mux.HandleFunc("GET /api", func(w http.ResponseWriter, _ *http.Request) {
		respond(w, http.StatusOK, map[string]any{"status": "up"})
	})
	mux.HandleFunc("GET /api/clinics/{clinic}/slots", s.slots)
	mux.HandleFunc("POST /api/clinics/{clinic}/appointments", s.book)
	s.server = &http.Server{Handler: s.guard(mux), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *scheduler) close() { _ = s.server.Close() }

// guard answers for a broken system, and for callers without the key.
func (s *scheduler) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.broken.Load():
			respond(w, http.StatusServiceUnavailable, map[string]any{"error": "the database of the scheduler is down"})
		case r.Header.Get("X-API-Key") != schedulerKey:
			respond(w, http.StatusUnauthorized, map[string]any{"error": "wrong API key"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *scheduler) slots(w http.ResponseWriter, r *http.Request) {
	day := r.URL.Query().Get("date")
	slots := []map[string]any{}
	for hour := 9; hour < 12; hour++ {
		slots = append(slots, map[string]any{
			"id": fmt.Sprintf("%s-%s-%d", r.PathValue("clinic"), day, hour), "start": fmt.Sprintf("%sT%02d:00:00Z", day, hour), "room": "2b", "internal_note": "ask for insurance",
		})
	}
	respond(w, http.StatusOK, map[string]any{"data": map[string]any{"slots": slots, "count": len(slots)}})
}

func (s *scheduler) book(w http.ResponseWriter, r *http.Request) {
	var booking struct {
		Slot    string `json:"slot"`
		Patient string `json:"patient"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&booking); err != nil || booking.Slot == "" {
		respond(w, http.StatusBadRequest, map[string]any{"error": "slot is missing"})
		return
	}
	respond(w, http.StatusCreated, map[string]any{"appointment": map[string]any{"number": s.booked.Add(1), "slot": booking.Slot, "patient": booking.Patient}})
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}
