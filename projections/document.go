package projections

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"

	fast "github.com/go-json-experiment/json"
	"golang.org/x/sync/errgroup"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/representation"
)

// Encode returns the stored form of an integration. Stores keep the fields for filters and
// sorting beside it.
func Encode(i domain.Integration) ([]byte, error) {
	data, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("encode integration %s: %w", i.ID, err)
	}
	return data, nil
}

// Decode is the reverse of Encode. Decoding takes most of the time of a page, so this uses a
// decoder three times as fast as that of the standard library.
func Decode(data []byte) (domain.Integration, error) {
	var i domain.Integration
	if err := fast.Unmarshal(data, &i); err != nil {
		return domain.Integration{}, fmt.Errorf("decode a stored integration: %w", err)
	}
	return i, nil
}

// EncodeProbe returns the stored form of a probe.
func EncodeProbe(p LastProbe) ([]byte, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode probe: %w", err)
	}
	return data, nil
}

// DecodeProbe is the reverse of EncodeProbe.
func DecodeProbe(data []byte) (LastProbe, error) {
	var p LastProbe
	if err := json.Unmarshal(data, &p); err != nil {
		return LastProbe{}, fmt.Errorf("decode probe: %w", err)
	}
	return p, nil
}

// Answer is what the API answers of an integration.
type Answer struct {
	Body    []byte // JSON
	Version uint64 // of the integration; Answers may leave it out
	Key     Key    // its place in the order of the list; only set by Answers
}

// NewAnswer joins the parts of an answer as they are stored. An empty probe is none.
func NewAnswer(integration, probe []byte) []byte {
	if len(probe) == 0 {
		return append(integration, representation.Unprobed...)
	}
	return append(integration, probe...)
}

// AnswerOf returns what the API answers of an integration that is not read from a store.
func AnswerOf(i Integration) (Answer, error) { return answerOf(i, Sort{}) }

// answerOf makes the answer of an integration that is not stored, or not shown whole.
func answerOf(i Integration, s Sort) (Answer, error) {
	body, err := representation.Encode(i.Integration)
	if err != nil {
		return Answer{}, err
	}
	var probe []byte
	if i.LastProbe != nil {
		if probe, err = representation.EncodeProbe(*i.LastProbe.Shown()); err != nil {
			return Answer{}, err
		}
	}
	return Answer{Body: NewAnswer(body, probe), Version: i.Version, Key: s.KeyOf(i.Integration)}, nil
}

func answersOf(all []Integration, s Sort) ([]Answer, error) {
	answers := make([]Answer, len(all))
	for n, i := range all {
		var err error
		if answers[n], err = answerOf(i, s); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// Encoded is the stored form of an integration.
type Encoded struct {
	Document []byte // see Encode
	Answer   []byte // see representation.Encode
}

// fewDocuments is how many documents are encoded by one worker.
const fewDocuments = 16

// EncodeAll encodes the documents that are not encoded yet, with all processors if there are
// many.
func EncodeAll(documents []Document) error {
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	share := max(fewDocuments, (len(documents)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	for some := range slices.Chunk(documents, share) {
		if len(some) == len(documents) {
			return encodeAll(some)
		}
		workers.Go(func() error { return encodeAll(some) })
	}
	return workers.Wait()
}

func encodeAll(documents []Document) error {
	for n, d := range documents {
		if d.Encoded != nil {
			continue
		}
		encoded, err := encodeBoth(d.Integration)
		if err != nil {
			return err
		}
		documents[n].Encoded = &encoded
	}
	return nil
}

// encodeBoth encodes an integration. Nobody is answered a deleted one.
func encodeBoth(i domain.Integration) (e Encoded, err error) {
	if e.Document, err = Encode(i); err != nil || i.Deleted {
		return e, err
	}
	e.Answer, err = representation.Encode(i)
	return e, err
}
