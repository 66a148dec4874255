package connectors

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/unicode"

	"github.com/seed677028b5/integrations/connectors/egress"
	"github.com/seed677028b5/integrations/connectors/scrub"
	"github.com/seed677028b5/integrations/domain"
)

// answersAs is an upstream that answers with a body and headers: names and values.
func answersAs(t *testing.T, status int, body string, headers ...string) string {
	t.Helper()
	return startUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil // net/http would add one
		for n := 0; n < len(headers); n += 2 {
			w.Header().Set(headers[n], headers[n+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

func encode(t *testing.T, set interface{ String(string) (string, error) }, text string) string {
	t.Helper()
	encoded, err := set.String(text)
	require.NoError(t, err)
	return encoded
}

func TestATextIsDecodedFromItsCharset(t *testing.T) {
	const person = `{"name":"Müller"}`
	latin := encode(t, charmap.ISO8859_1.NewEncoder(), person)
	little := encode(t, unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM).NewEncoder(), person)
	big := encode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder(), person)
	for name, row := range map[string]struct{ media, body, want string }{
		"UTF-8":                           {"application/json", person, person},
		"Latin-1":                         {"application/json; charset=iso-8859-1", latin, person},
		"in quotes and upper case":        {`application/json;charset="ISO-8859-1"`, latin, person},
		"Windows-1252":                    {"text/csv; charset=windows-1252", "\x80 5,M\xfcller", "€ 5,Müller"},
		"ISO-8859-15":                     {"text/plain; charset=iso-8859-15", "\xa4 5", "€ 5"},
		"Shift JIS":                       {"text/plain; charset=Shift_JIS", encode(t, japanese.ShiftJIS.NewEncoder(), "患者"), "患者"},
		"UTF-16 with a byte order mark":   {"application/json; charset=utf-16", big, person},
		"UTF-16 without one":              {"application/json; charset=utf-16le", little, person},
		"UTF-16 that is not declared":     {"application/json", little, person},
		"a byte order mark":               {"application/json", "\xEF\xBB\xBF" + person, person},
		"a byte order mark of a text":     {"text/plain; charset=utf-8", "\xEF\xBB\xBFword", "word"},
		"Latin-1 that is not declared":    {"application/json", latin, person},
		"Latin-1 of an unknown charset":   {"text/plain; charset=nonsense", "caf\xe9", "caf\uFFFD"},
		"UTF-8 that is declared ASCII":    {"application/json; charset=us-ascii", person, person},
		"Latin-1 that ends in a letter":   {"text/plain", "caf\xe9", "café"},
		"declared UTF-8 stays UTF-8":      {"application/json; charset=utf-8", latin, `{"name":"M` + "\uFFFD" + `ller"}`},
		"UTF-8 with one wrong byte":       {"text/plain", "Müller \xff", "Müller \uFFFD"},
		"XML that names its charset":      {"application/xml", `<?xml version="1.0" encoding="ISO-8859-1"?><n>M` + "\xfc" + `ller</n>`, `<?xml version="1.0" encoding="ISO-8859-1"?><n>Müller</n>`},
		"a page that names its charset":   {"text/html", `<meta charset="koi8-r"><p>` + "\xcd\xc9\xd2", `<meta charset="koi8-r"><p>мир`},
		"JSON of a binary type":           {"application/octet-stream", person, person},
		"JSON of an image":                {"image/png", person, person},
		"text of no type":                 {"", "plain words", "plain words"},
		"a text that begins as a picture": {"text/csv", "BMI,weight\n22,70", "BMI,weight\n22,70"},
		"one of no type":                  {"", "BMI: 22", "BMI: 22"},
		"one in Latin-1":                  {"text/plain", "ID3: M\xfcller", "ID3: Müller"},
		"an HL7 message":                  {"application/hl7-v2", "\x0bMSH|^~\\&|A\rPID|1\x1c\r", "\x0bMSH|^~\\&|A\rPID|1\x1c\r"},
		"an encoding that is none":        {"text/plain", "word", "word"},
		"a picture that is a text of XML": {"image/svg+xml", "<svg/>", "<svg/>"},
	} {
		base := answersAs(t, 200, row.body, "Content-Type", row.media)
		require.Equal(t, row.want, succeeds(t, onLoopback(t), calling(base, nil, nil)).FinalResult, name)
	}
}

func TestGzipThatIsNotGzipIsReadAsItIs(t *testing.T) {
	for name, row := range map[string]struct{ encoding, body string }{
		"gzip":             {"gzip", string(packed([]byte(`{"a":1}`)))},
		"declared only":    {"gzip", `{"a":1}`},
		"another spelling": {"X-GZIP", `{"a":1}`},
		"no encoding":      {"utf-8", `{"a":1}`},
		"in two members":   {"gzip", string(packed([]byte(`{"a":`))) + string(packed([]byte(`1}`)))},
		"with padding":     {"gzip", string(packed([]byte(`{"a":1}`))) + "\x00\x00"},
	} {
		base := answersAs(t, 200, row.body, "Content-Type", "application/json", "Content-Encoding", row.encoding)
		require.Equal(t, `{"a":1}`, succeeds(t, onLoopback(t), calling(base, nil, nil)).FinalResult, name)
	}
	require.Empty(t, succeeds(t, onLoopback(t), calling(answersAs(t, 200, "", "Content-Encoding", "gzip"), nil, nil)).FinalResult)
}

func TestABinaryAnswerIsReportedWithItsTypeAndItsContent(t *testing.T) {
	pdf := "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n\x00\x01\xff"
	for name, row := range map[string]struct{ media, body, want string }{
		"by its type":               {"application/pdf", pdf, "application/pdf"},
		"by its bytes":              {"application/octet-stream", pdf, "application/pdf"},
		"that says it is text":      {"text/plain", "\x89PNG\x0D\x0A\x1A\x0A\x00\x00", "image/png"},
		"of no type":                {"", "\x00\x01\x02", "application/octet-stream"},
		"that could be text":        {"image/x-portable", "P1 1 1 0", "image/x-portable"},
		"that is no UTF-8":          {"application/octet-stream", "key \xff\xfe\xfd", "application/octet-stream"},
		"a sheet":                   {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "PK\x03\x04", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		"with a type of parameters": {"Image/JPEG; q=1", "\xff\xd8\xff\xe0", "image/jpeg"},
	} {
		base := answersAs(t, 200, row.body, "Content-Type", row.media)
		got := succeeds(t, onLoopback(t), calling(base, nil, nil))
		want := fmt.Sprintf(`{"base64":%q,"media_type":%q,"size":%d}`, base64.StdEncoding.EncodeToString([]byte(row.body)), row.want, len(row.body))
		require.Equal(t, want, got.FinalResult, name)
		require.Equal(t, want, asJSON(t, got.RawResponse), name)
	}
	base := answersAs(t, 200, pdf, "Content-Type", "application/pdf")
	got := succeeds(t, onLoopback(t), calling(base, nil, func(e *domain.Endpoint) { e.ResultTemplate = "{{ media_type }}, {{ size }} bytes" }))
	require.Equal(t, "application/pdf, 18 bytes", got.FinalResult)
}

func TestABinaryAnswerThatIsTooLongShowsItsBeginning(t *testing.T) {
	base := answersAs(t, 200, strings.Repeat("\x00", 2*egress.MaxBody), "Content-Type", "image/png", "Content-Length", fmt.Sprint(2*egress.MaxBody))
	got := failsWith(t, onLoopback(t), calling(base, nil, nil), domain.CallResponseTooLarge)
	shown, _ := got.RawResponse.(map[string]any)
	require.True(t, got.Truncated)
	require.Equal(t, "2097152", fmt.Sprint(shown["size"]))
	require.Len(t, shown["base64"], base64.StdEncoding.EncodedLen(egress.MaxBody))
}

func TestWhatWasCreatedIsKnown(t *testing.T) {
	for _, status := range []int{200, 201, 202, 204} {
		base := answersAs(t, status, "", "Location", "/Patient/77/_history/1", "ETag", `W/"1"`)
		got := succeeds(t, onLoopback(t), onFHIR(calling(base, nil, func(e *domain.Endpoint) { e.Method = "POST" })))
		require.Equal(t, `{"etag":"W/\"1\"","location":"/Patient/77/_history/1"}`, got.FinalResult, status)
		require.Nil(t, got.RawResponse)
	}
	started := answersAs(t, 202, "", "Operation-Location", "/operations/5")
	require.Equal(t, `{"operation_location":"/operations/5"}`, succeeds(t, onLoopback(t), calling(started, nil, nil)).FinalResult)
	base := answersAs(t, 201, `{"id":1}`, "Content-Type", "application/json", "Location", "/things/1")
	got := succeeds(t, onLoopback(t), calling(base, nil, func(e *domain.Endpoint) {
		e.ResponseMapping = map[string]string{"id": "id", "at": "$response_headers.location"}
	}))
	require.Equal(t, `{"at":"/things/1","id":1}`, got.FinalResult)
}

func TestARateLimitIsNotTakenForWrongCredentials(t *testing.T) {
	base := answersAs(t, 403, `{"message":"API rate limit exceeded"}`, "X-RateLimit-Remaining", "0", "Retry-After", "30")
	c := signedBy(calling(base, nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
	got := failsWith(t, onLoopback(t), c, domain.CallUpstreamError)
	require.Equal(t, "The upstream answered 403 Forbidden: its rate limit is used up; it takes calls again in 30s.", got.Error)
	p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
	require.Equal(t, domain.Healthy, p.Status)
	require.Contains(t, p.Message, "rate limit is used up")
	p = onLoopback(t).Probe(t.Context(), onFHIR(c).Integration, c.Keyring)
	require.Equal(t, domain.Unreachable, p.Status)
	require.Contains(t, p.Message, "rate limit is used up")
}

func TestAProbeNamesTheURLThatARedirectPointsTo(t *testing.T) {
	for location, want := range map[string]string{"/elsewhere?key=" + canary: "/elsewhere:", "https://api.example/v2/" + canary: "https://api.example/v2/" + scrub.Mask + ":"} {
		base := answersAs(t, 301, "", "Location", location)
		for _, protocol := range []domain.Protocol{domain.REST, domain.FHIR} {
			c := signedBy(calling(base+"/moved", nil, nil), domain.Auth{Type: domain.BearerToken}, canary)
			c.Integration.Protocol = protocol
			p := onLoopback(t).Probe(t.Context(), c.Integration, c.Keyring)
			require.Equal(t, domain.Misconfigured, p.Status)
			require.Contains(t, p.Message, want)
			require.NotContains(t, p.Message, canary)
		}
	}
}

// What an upstream echoes is masked in what is no text, in a charset that hides it, in
// headers that expressions read, and in what is shown as base64.
func TestNoAnswerCarriesASecretPastTheScrubber(t *testing.T) {
	secret := canary + "ü"
	zipped := func() string {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		f, err := w.Create("log.txt")
		require.NoError(t, err)
		_, _ = f.Write([]byte("Authorization: Bearer " + secret))
		require.NoError(t, w.Close())
		return b.String()
	}
	decoded, err := base64.StdEncoding.DecodeString("c2VjcmV0Y2FuYXJ5MTIz")
	require.NoError(t, err)
	for name, row := range map[string]struct{ secret, media, body string }{
		"a picture":                        {secret, "image/png", "\x89PNG\x0D\x0A\x1A\x0A\x00" + secret + "\x00"},
		"a picture with base64":            {secret, "image/png", "\x89PNG\x0D\x0A\x1A\x0A\x00" + base64.StdEncoding.EncodeToString([]byte("x"+secret)) + "\x00"},
		"a file of gzip":                   {secret, "application/gzip", string(packed([]byte("token=" + secret)))},
		"a file of ZIP":                    {secret, "application/zip", zipped()},
		"bytes whose base64 is the secret": {"c2VjcmV0Y2FuYXJ5MTIz", "application/octet-stream", "\x00\x01\x02" + string(decoded) + "\x00"},
		"Latin-1":                          {secret, "text/plain; charset=iso-8859-1", encode(t, charmap.ISO8859_1.NewEncoder(), "token "+secret)},
		"UTF-16":                           {secret, "text/plain; charset=utf-16be", encode(t, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder(), "token "+secret)},
		"UTF-16 that is ASCII":             {canary, "text/plain; charset=utf-16", "token " + canary + strings.Repeat("x", len(canary)%2)},
		"EBCDIC-like nonsense":             {canary, "text/plain; charset=iso-2022-jp", "token " + canary},
		"a text that is cut":               {secret, "text/plain; charset=iso-8859-1", strings.Repeat("\xe9", egress.MaxBody-5) + secret},
		"a picture that is cut":            {secret, "image/png", strings.Repeat("\x00", egress.MaxBody-5) + secret},
	} {
		base := answersAs(t, 200, row.body, "Content-Type", row.media, "X-Echo", row.secret, "Location", "/"+row.secret)
		c := signedBy(calling(base, nil, func(e *domain.Endpoint) { e.ResultTemplate = "{{ @ }} {{ $response_headers }}" }), domain.Auth{Type: domain.BearerToken}, row.secret)
		got := call(t, onLoopback(t), c)
		for what, shown := range map[string]string{"the result": got.FinalResult, "the answer": asJSON(t, got.RawResponse), "the headers": asJSON(t, got.ResponseHeaders)} {
			require.NotContains(t, shown, row.secret[:8], name+": "+what)
			require.NotContains(t, shown, base64.StdEncoding.EncodeToString([]byte(row.secret))[:12], name+": "+what)
			if binary, ok := got.RawResponse.(map[string]any); ok && what == "the answer" {
				content, _ := binary["base64"].(string)
				raw, err := base64.StdEncoding.DecodeString(content)
				require.NoError(t, err, name)
				require.NotContains(t, string(raw), row.secret[:4], name)
				require.NotEqual(t, packed([]byte("token="+row.secret)), raw, name)
			}
		}
	}
}
