package connectors

import (
	"context"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	mostIdle     = 128
	mostIdleText = 8 << 10 // bytes of the text of one that is kept
)

// schemas keeps the compiled schemas that were used last and that no call uses
// just now, by their text. Compiling one takes ten times as long as holding it
// against parameters.
type schemas struct {
	mu   sync.Mutex
	idle *simplelru.LRU[string, *schema]
}

func newSchemas() *schemas {
	idle, err := simplelru.NewLRU[string, *schema](mostIdle, nil)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &schemas{idle: idle}
}

// take returns a schema for one call, which puts it back.
func (s *schemas) take(ctx context.Context, text []byte) (*schema, error) {
	s.mu.Lock()
	found, ok := s.idle.Peek(string(text))
	if ok {
		s.idle.Remove(string(text))
	}
	s.mu.Unlock()
	if ok {
		return found, nil
	}
	return compileSchema(ctx, text)
}

func (s *schemas) put(text []byte, used *schema) {
	if len(text) > mostIdleText {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.idle.Add(string(text), used)
}
