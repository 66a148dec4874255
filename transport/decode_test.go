package transport_test

import (
	"encoding/json"
	"testing"

	"github.com/seed677028b5/integrations/transport"
)

func FuzzWhatIsDecodedIsJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,2.5e3,true,null,"x"],"b":{"c":"\u0041"}}`, `{"a":1,"a":2}`, `[]`, `{"a":`, "{\"\xff\":1}", `{} {}`, `{"a":-0}`, `{"a":1e999}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := transport.Decode(data)
		if err != nil {
			return
		}
		var other map[string]any
		if err := json.Unmarshal(data, &other); err != nil {
			t.Fatalf("accepted what encoding/json refuses: %q: %v", data, err)
		}
		if len(doc) != len(other) {
			t.Fatalf("%q has %d members here and %d for encoding/json", data, len(doc), len(other))
		}
	})
}
