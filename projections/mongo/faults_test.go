package mongo_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/seed677028b5/integrations/domain"
	"github.com/seed677028b5/integrations/projections/mongo"
)

// answering listens and speaks MongoDB's protocol: it answers the handshake with one document
// and everything else with another, and returns its address.
func answering(t *testing.T, greeting func(address string) bson.D, answer bson.D) (address string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	greet, err := bson.Marshal(greeting(l.Addr().String()))
	require.NoError(t, err)
	other, err := bson.Marshal(answer)
	require.NoError(t, err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go answerAll(c, greet, other)
		}
	}()
	return l.Addr().String()
}

// The header of a message, and the kinds of messages
// (https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/).
const (
	headerSize = 16
	opReply    = 1
	opQuery    = 2004
	opMsg      = 2013
)

func answerAll(c net.Conn, greet, other []byte) {
	defer c.Close() //nolint:errcheck // the other side is gone
	for {
		header := make([]byte, headerSize)
		if _, err := io.ReadFull(c, header); err != nil {
			return
		}
		rest := make([]byte, binary.LittleEndian.Uint32(header)-headerSize)
		if _, err := io.ReadFull(c, rest); err != nil {
			return
		}
		document := other
		if command := bytes.ToLower(rest[:min(len(rest), 60)]); bytes.Contains(command, []byte("hello\x00")) || bytes.Contains(command, []byte("ismaster\x00")) {
			document = greet
		}
		kind, before := uint32(opMsg), []byte{0, 0, 0, 0, 0} // no flags, one section that is a body
		if binary.LittleEndian.Uint32(header[12:]) == opQuery {
			kind, before = opReply, append(make([]byte, headerSize), 1, 0, 0, 0) // flags, cursor, from, and that there is one document
		}
		out := make([]byte, headerSize, headerSize+len(before)+len(document))
		binary.LittleEndian.PutUint32(out, uint32(headerSize+len(before)+len(document)))
		copy(out[8:12], header[4:8]) // which request this answers
		binary.LittleEndian.PutUint32(out[12:], kind)
		if _, err := c.Write(append(append(out, before...), document...)); err != nil {
			return
		}
	}
}

func hello(more ...bson.E) bson.D {
	return append(bson.D{{Key: "ok", Value: 1.0}, {Key: "helloOk", Value: true}, {Key: "maxBsonObjectSize", Value: 16 << 20}, {Key: "maxMessageSizeBytes", Value: 48 << 20}, {Key: "maxWriteBatchSize", Value: 100_000}, {Key: "minWireVersion", Value: 0}}, more...)
}

func TestPermanentFailuresAreNamed(t *testing.T) {
	wire := func(version int) bson.E { return bson.E{Key: "maxWireVersion", Value: version} }
	primary := func(string) bson.D { return hello(wire(25), bson.E{Key: "isWritablePrimary", Value: true}) }
	refusal := func(code int, name string) bson.D {
		return bson.D{{Key: "ok", Value: 0.0}, {Key: "code", Value: code}, {Key: "codeName", Value: name}, {Key: "errmsg", Value: name}}
	}
	for what, c := range map[string]struct {
		greeting func(address string) bson.D
		answer   bson.D
		before   string // the address in the URI
		want     string
	}{
		"no primary": {func(address string) bson.D {
			return hello(wire(25), bson.E{Key: "setName", Value: "rs0"}, bson.E{Key: "secondary", Value: true}, bson.E{Key: "hosts", Value: bson.A{address}}, bson.E{Key: "me", Value: address})
		}, bson.D{}, "", "has no primary"},
		"a server that is too old": {func(string) bson.D {
			return hello(wire(6), bson.E{Key: "isWritablePrimary", Value: true})
		}, bson.D{}, "", "version of the MongoDB server is not supported"},
		"a user who is not known": {primary, refusal(18, "AuthenticationFailed"), "ann:hunter2@", "rejects the user"},
		"a user who may not read": {primary, refusal(13, "Unauthorized"), "", "lacks permission to read and write"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			options := "/?serverSelectionTimeoutMS=500"
			if what == "no primary" {
				options += "&replicaSet=rs0"
			}
			_, err := mongo.Open(t.Context(), "mongodb://"+c.before+answering(t, c.greeting, c.answer)+options, "integrations")
			require.Equal(t, domain.Unavailable, domain.KindOf(err))
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), "try again")
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}
