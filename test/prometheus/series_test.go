package prometheus

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// series are what a test loads, each from the Unix epoch on.
type series []storage.Series

// load reads series in the notation of promtool.
func load(t *testing.T, every time.Duration, all []inputSeries) series {
	t.Helper()
	var s series
	for _, one := range all {
		name, values, err := language.ParseSeriesDesc(one.Series + " " + one.Values)
		if err != nil {
			t.Fatalf("%s %s: %v", one.Series, one.Values, err)
		}
		var samples []chunks.Sample
		for n, value := range values {
			if !value.Omitted {
				samples = append(samples, sample{int64(n) * every.Milliseconds(), value.Value})
			}
		}
		s = append(s, storage.NewListSeries(name, samples))
	}
	return s
}

// sample is a number at a time in milliseconds.
type sample struct {
	t int64
	f float64
}

func (s sample) T() int64                      { return s.t }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.f }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// Querier implements storage.Queryable. The engine ignores samples outside its range.
func (s series) Querier(int64, int64) (storage.Querier, error) { return s, nil }

// Select implements storage.Querier.
func (s series) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &found{}
	for _, one := range s {
		if matches(one.Labels(), matchers) {
			set.left = append(set.left, one)
		}
	}
	return set
}

func matches(of labels.Labels, all []*labels.Matcher) bool {
	for _, m := range all {
		if !m.Matches(of.Get(m.Name)) {
			return false
		}
	}
	return true
}

var errNotNeeded = errors.New("queries don't list labels")

// LabelValues implements storage.LabelQuerier.
func (series) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errNotNeeded
}

// LabelNames implements storage.LabelQuerier.
func (series) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errNotNeeded
}

// Close implements storage.LabelQuerier.
func (series) Close() error { return nil }

// found is a storage.SeriesSet.
type found struct {
	now  storage.Series
	left []storage.Series
}

func (f *found) Next() bool {
	if len(f.left) == 0 {
		return false
	}
	f.now, f.left = f.left[0], f.left[1:]
	return true
}
func (f *found) At() storage.Series                { return f.now }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }

// language reads PromQL without experimental functions.
var language = parser.NewParser(parser.Options{})
