package eventstore

import (
	"slices"
	"sync"
)

// appended hands on what this process appends to the log.
type appended struct {
	mu   sync.RWMutex
	next int
	all  []appendedTo
}

type appendedTo struct {
	id int
	do func([]Commit)
}

// add calls do with what is appended until the function that it returns is called.
func (a *appended) add(do func([]Commit)) (end func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.next++
	id := a.next
	a.all = append(a.all, appendedTo{id, do})
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.all = slices.DeleteFunc(a.all, func(to appendedTo) bool { return to.id == id })
	}
}

func (a *appended) pass(commits []Commit) {
	a.mu.RLock() // so that none is called after its end
	defer a.mu.RUnlock()
	for _, to := range a.all {
		to.do(commits)
	}
}
