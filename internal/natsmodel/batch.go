package natsmodel

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// batch is an atomic batch that is not committed yet (NATS ADR-50).
type batch struct {
	messages []message
	headers  []nats.Header
}

// batchTimeout is how long a batch may wait for its next message.
const batchTimeout = 10 * time.Second

// addToBatch adds a message to its batch. With the last one, all are stored or none.
func (st *stream) addToBatch(re request, m message, header nats.Header) {
	id := header.Get("Nats-Batch-Id")
	number, err := strconv.Atoi(header.Get("Nats-Batch-Sequence"))
	switch {
	case !st.config.AllowAtomicPublish:
		re.fail(st, &jetstream.APIError{Code: 400, ErrorCode: 10174, Description: "atomic publish is disabled"})
		return
	case err != nil:
		re.fail(st, &jetstream.APIError{Code: 400, ErrorCode: 10175, Description: "atomic publish sequence is missing"})
		return
	}
	b := st.batches[id]
	if b == nil && number == 1 {
		b = &batch{}
		st.batches[id] = b
		st.server.after(batchTimeout, func() { delete(st.batches, id) })
	}
	if b == nil || number != len(b.messages)+1 { // one before it was lost
		delete(st.batches, id)
		re.fail(st, &jetstream.APIError{Code: 400, ErrorCode: 10176, Description: "atomic publish batch is incomplete"})
		return
	}
	b.messages, b.headers = append(b.messages, m), append(b.headers, header)
	if header.Get("Nats-Batch-Commit") != "1" {
		re.answer("", nil)
		return
	}
	delete(st.batches, id)
	if refusal := st.refuseBatch(b); refusal != nil {
		re.fail(st, refusal)
		return
	}
	last := uint64(0)
	for n := range b.messages {
		last = st.store(b.messages[n], b.headers[n])
	}
	re.json(pubAck{Stream: st.config.Name, Sequence: last, BatchID: id, BatchSize: len(b.messages)})
	st.pump()
}

// refuseBatch returns why a batch is not stored, nil when it is.
func (st *stream) refuseBatch(b *batch) *jetstream.APIError {
	made, ids := map[string]uint64{}, map[string]bool{}
	for n, m := range b.messages {
		if refusal := st.refuse(m.subject, b.headers[n], made); refusal != nil {
			return refusal
		}
		if id := b.headers[n].Get(jetstream.MsgIDHeader); id != "" {
			if first, known := st.ids[id]; ids[id] || known && time.Since(first.at) < st.config.Duplicates {
				return &jetstream.APIError{Code: 400, ErrorCode: 10201, Description: "atomic publish batch contains duplicate message id"}
			}
			ids[id] = true
		}
		made[m.subject] = st.last + uint64(n) + 1
	}
	return nil
}
