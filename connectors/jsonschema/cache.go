package jsonschema

import (
	"context"
	"errors"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seed677028b5/integrations/domain"
)

const (
	maxCached     = 128
	maxCachedText = 8 << 10 // bytes of the text of a schema that is kept
)

// Cache keeps compiled schemas by their text: those that were used last and that
// no call is using. Compiling one takes ten times as long as validating by it. It
// is safe for concurrent use.
type Cache struct {
	mu   sync.Mutex
	idle *simplelru.LRU[string, *schema]
}

// NewCache returns an empty Cache.
func NewCache() *Cache {
	idle, err := simplelru.NewLRU[string, *schema](maxCached, nil)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &Cache{idle: idle}
}

// Check returns what is wrong with a JSON Schema, nil for a good one.
func (c *Cache) Check(ctx context.Context, document []byte) error {
	compiled, err := c.take(ctx, document)
	if err == nil {
		c.put(document, compiled) // a call often follows, or the same document again
	}
	return err
}

// Validate returns what is wrong with value by the schema in document, with JSON
// pointers below at. It returns ErrTooMuch when checking takes too long or ctx
// ends, and another error when document is not a JSON Schema.
func (c *Cache) Validate(ctx context.Context, document []byte, value map[string]any, at string) ([]domain.Problem, error) {
	compiled, err := c.take(ctx, document)
	if err != nil {
		return nil, errors.Join(ErrNotSchema, err)
	}
	if value == nil {
		value = map[string]any{}
	}
	if place, found := longNumber(value, at); found {
		return []domain.Problem{{Pointer: place, Code: "number_too_large", Detail: "has too many digits"}}, nil
	}
	err = compiled.validate(ctx, value)
	c.put(document, compiled)
	var invalid *jsonschema.ValidationError
	switch {
	case errors.As(err, &invalid):
		return leaves(invalid, at), nil
	case err != nil:
		return nil, ErrTooMuch
	}
	return nil, nil
}

// take returns a schema for one call, which puts it back.
func (c *Cache) take(ctx context.Context, document []byte) (*schema, error) {
	c.mu.Lock()
	found, ok := c.idle.Peek(string(document))
	if ok {
		c.idle.Remove(string(document))
	}
	c.mu.Unlock()
	if ok {
		return found, nil
	}
	return compile(ctx, document)
}

func (c *Cache) put(document []byte, used *schema) {
	if len(document) > maxCachedText {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle.Add(string(document), used)
}
