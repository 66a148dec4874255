package signin

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// lru is an LRU cache whose values can be dropped by what they are. It is safe for
// concurrent use.
type lru[V any] struct {
	mu     sync.Mutex
	values *simplelru.LRU[string, V]
}

func newLRU[V any](size int) *lru[V] {
	values, err := simplelru.NewLRU[string, V](size, nil)
	if err != nil {
		panic(err) // the size is not positive
	}
	return &lru[V]{values: values}
}

func (c *lru[V]) get(key string) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.values.Get(key)
}

func (c *lru[V]) put(key string, value V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.values.Add(key, value)
}

// dropIf removes the value at key if drop returns true for it.
func (c *lru[V]) dropIf(key string, drop func(V) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if value, ok := c.values.Peek(key); ok && drop(value) {
		c.values.Remove(key)
	}
}
