package connectors

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/seed677028b5/integrations/connectors/jsonvalue"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/connectors/scrub/scrubtest"
	"github.com/seed677028b5/integrations/domain"
)

// remains returns what still shows a secret, or another of these texts, between masks.
func remains(shown string, secrets scrub.Scrubber, others ...string) string {
	for _, part := range strings.Split(shown, scrub.Mask) {
		if secrets.Finds(part) || slices.ContainsFunc(others, func(other string) bool { return strings.Contains(part, other) }) {
			return part
		}
	}
	return ""
}

// echo answers with everything it got, in every way of writing.
func echo(w http.ResponseWriter, r *http.Request) {
	var whole bytes.Buffer
	_ = r.Write(&whole)
	got := whole.String()
	ways := map[string]any{"got": got, r.Header.Get("Authorization"): r.URL.Query(), "headers": r.Header}
	for name, way := range scrubtest.Echoes {
		for _, secret := range []string{canary, "amy:" + canary, r.Header.Get("Authorization"), got} {
			ways[name+fmt.Sprint(len(secret))] = way("x", secret, "y")
			w.Header().Add("X-Echo", strings.Map(printable, way("x", secret, "y")))
		}
	}
	w.Header().Set("Set-Cookie", "session="+"minted-by-upstream")
	if status := r.URL.Query().Get("status"); status == "500" {
		w.WriteHeader(500)
	}
	data, _ := json.Marshal(ways)
	_, _ = w.Write(data)
}

func printable(r rune) rune {
	if r < 0x20 || r == 0x7f {
		return ' '
	}
	return r
}

func TestNothingThatLeavesShowsASecretThatAnUpstreamEchoes(t *testing.T) {
	base := startUpstream(t, echo)
	secrets := scrub.New(canary, "amy:"+canary)
	for _, auth := range []domain.Auth{
		{Type: domain.BearerToken}, {Type: domain.Basic, Username: "amy"}, {Type: domain.APIKeyHeader, HeaderName: "X-Key"}, {Type: domain.APIKeyHeader, QueryName: "key"},
	} {
		for _, status := range []string{"200", "500"} {
			c := signedBy(calling(base, map[string]any{"status": status, "mine": canary}, func(e *domain.Endpoint) {
				e.Headers = map[string]string{"X-Mine": canary}
				e.ResponseMapping = map[string]string{"turned": "reverse(got)", "split": "split('-', got)", "all": "@"}
				e.ResultTemplate = "{{ turned }} {{ split }} {{ all }}"
			}), auth, canary)
			result := call(t, onLoopback(t), c)
			if asked := result.Request; !strings.Contains(asked.Headers.Get("X-Mine")+asked.Body+asked.URL, canary) {
				t.Errorf("the caller's own values are not shown as they are: %+v", asked)
			}
			result.Request = domain.CallRequest{} // has what the caller chose
			shown := fmt.Sprintf("%+v %s", result, asJSON(t, result))
			turned := []rune(canary)
			for n, m := 0, len(turned)-1; n < m; n, m = n+1, m-1 {
				turned[n], turned[m] = turned[m], turned[n]
			}
			if left := remains(shown, secrets, string(turned), "minted-by-upstream"); left != "" {
				t.Errorf("signed in by %s, answered %s: shows %q", auth.Type, status, left)
			}
			if !strings.Contains(shown, scrub.Mask) || result.StatusCode == 0 {
				t.Errorf("nothing was echoed: %s", shown)
			}
			p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
			if left := remains(fmt.Sprintf("%+v %s", p, asJSON(t, p)), secrets); left != "" {
				t.Errorf("the probe shows %q", left)
			}
		}
	}
}

func TestAHeaderThatIsNamedAfterASecretIsNotShown(t *testing.T) {
	const key = "deadbeefcafe0123456789abcdef"
	base := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{key, "X-" + strings.ToUpper(key) + "-Seen", hex.EncodeToString([]byte(key))} {
			w.Header()[name] = []string{"1"}
		}
		w.Header().Set("X-Other", key)
	})
	c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.APIKeyHeader, HeaderName: "X-Key"}, key)
	got := succeeds(t, onLoopback(t), c)
	if left := remains(strings.ToLower(asJSON(t, got)), scrub.New(key)); left != "" {
		t.Errorf("%q is left in %v", left, got.ResponseHeaders)
	}
	if got.ResponseHeaders.Get("X-Other") != scrub.Mask || got.ResponseHeaders[scrub.Mask] == nil || got.ResponseHeaders["x-"+scrub.Mask+"-seen"] == nil {
		t.Errorf("got %v", got.ResponseHeaders)
	}
}

func TestWhatIsEscapedOnItsWayIsNotShownInBase64(t *testing.T) {
	whole := func(r *http.Request) string { // in base64, which may begin anywhere
		body, _ := io.ReadAll(r.Body)
		var all []string
		for _, before := range []string{"", "b", "bb"} {
			all = append(all, base64.StdEncoding.EncodeToString([]byte(before+r.URL.RawQuery+string(body))))
		}
		return strings.Join(all, " ")
	}
	refusing := startUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := jsonvalue.Compact(map[string]string{"error": "invalid_client", "error_description": whole(r)})
		_, _ = io.WriteString(w, body)
	})
	echoing := startUpstream(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, whole(r)) })
	inBody := clientCredentials(refusing)
	inBody.ClientAuthMethod = "body"
	inJSON := domain.Auth{Type: domain.JSONTokenExchange, TokenURL: refusing, TokenRequestClientIDField: "i", TokenRequestClientSecretField: "s", TokenResponsePath: "t"}
	for _, secret := range []string{"s3cr3t+/=ü-x", canary} {
		for _, c := range []domain.Call{
			byToken(calling("http://127.0.0.1:1", nil, nil), inBody, secret),
			byToken(calling("http://127.0.0.1:1", nil, nil), inJSON, secret),
			signedBy(calling(echoing, nil, nil), domain.Auth{Type: domain.APIKeyHeader, QueryName: "key"}, secret),
		} {
			got := call(t, onLoopback(t), c)
			shown := got.Error + fmt.Sprint(got.RawResponse)
			escaped := scrub.New(append(scrub.JSONForms(secret), url.QueryEscape(secret))...)
			if left := remains(shown, escaped); left != "" || !strings.Contains(shown, scrub.Mask) {
				t.Errorf("signed in by %s: %q is left in %s", c.Integration.Auth.Type, left, shown)
			}
		}
	}
}
