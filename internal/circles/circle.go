package main

import (
	"maps"
	"slices"
)

// largestCircle returns the largest strongly connected component of a graph, sorted. It
// is Tarjan's algorithm.
func largestCircle(arrows map[string][]string) []string {
	t := tarjan{arrows: arrows, index: map[string]int{}, low: map[string]int{}}
	for _, node := range slices.Sorted(maps.Keys(arrows)) {
		if t.index[node] == 0 {
			t.visit(node)
		}
	}
	slices.Sort(t.largest)
	return t.largest
}

type tarjan struct {
	arrows  map[string][]string
	index   map[string]int // the order of visits, from 1
	low     map[string]int // the least index that is reached
	stack   []string
	largest []string
}

func (t *tarjan) visit(node string) {
	t.index[node] = len(t.index) + 1
	t.low[node] = t.index[node]
	t.stack = append(t.stack, node)
	for _, next := range t.arrows[node] {
		if t.index[next] == 0 {
			t.visit(next)
			t.low[node] = min(t.low[node], t.low[next])
		} else if slices.Contains(t.stack, next) {
			t.low[node] = min(t.low[node], t.index[next])
		}
	}
	if t.low[node] != t.index[node] {
		return
	}
	at := slices.Index(t.stack, node)
	if circle := t.stack[at:]; len(circle) > len(t.largest) {
		t.largest = slices.Clone(circle)
	}
	t.stack = t.stack[:at]
}
