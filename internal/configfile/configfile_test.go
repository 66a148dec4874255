package configfile

import (
	"maps"
	"strings"
	"testing"
)

func TestAFileHasValuesAsOnTheCommandLine(t *testing.T) {
	got, err := parse([]byte("# comment\nlisten: 0.0.0.0:8443\nroles: [api, projector]\nrate-read: 20000\nwait-for-stores: true\npublic-url: \"\"\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := File{"listen": "0.0.0.0:8443", "roles": "api,projector", "rate-read": "20000", "wait-for-stores": "true", "public-url": ""}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for _, empty := range []string{"", "# comment\n"} {
		if got, err := parse([]byte(empty)); err != nil || len(got) > 0 {
			t.Errorf("%q: got %v, %v", empty, got, err)
		}
	}
}

func TestAFileThatCantBeReadNamesTheLine(t *testing.T) {
	for text, want := range map[string]string{
		"listen: a\nlisten: b":            "line 2: ",
		"a: 1\nroles: {api: true}":        "line 2: ",
		"google-maps-key:":                "line 1: ",
		"roles: []":                       "line 1: ",
		"roles: [api, [x]]":               "line 1: ",
		"- listen":                        "line 1: ",
		"google-maps-key: [\"s3cret,1\"]": "line 1: ",
		"listen: [":                       "line 2",
	} {
		_, err := parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the error repeats a value: %v", text, err)
		}
	}
}
