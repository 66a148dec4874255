package connectors

import "sync"

// recent keeps values in memory, and forgets the one unused for longest when
// there are too many. It is safe for concurrent use.
type recent[V any] struct {
	mu     sync.Mutex
	most   int
	uses   uint64 // counts them
	values map[string]*used[V]
}

type used[V any] struct {
	value V
	last  uint64 // the count at its last use
}

func newRecent[V any](most int) *recent[V] {
	return &recent[V]{most: most, values: map[string]*used[V]{}}
}

func (r *recent[V]) get(key string) (value V, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.values[key]
	if !ok {
		return value, false
	}
	r.uses++
	found.last = r.uses
	return found.value, true
}

func (r *recent[V]) put(key string, value V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, present := r.values[key]; !present && len(r.values) >= r.most {
		r.forgetOne()
	}
	r.uses++
	r.values[key] = &used[V]{value, r.uses}
}

func (r *recent[V]) forgetOne() {
	var oldest string
	last := r.uses + 1
	for key, value := range r.values {
		if value.last < last {
			oldest, last = key, value.last
		}
	}
	delete(r.values, oldest)
}

// dropIf forgets the value at key if it is the one meant.
func (r *recent[V]) dropIf(key string, meant func(V) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if present, ok := r.values[key]; ok && meant(present.value) {
		delete(r.values, key)
	}
}
