package imports_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/imports"
	"github.com/seed677028b5/integrations/domain"
)

// show writes an offer in lines: the request, its headers, its properties with where they
// travel, its body and its notes.
func show(t *testing.T, o domain.Offer) string {
	t.Helper()
	lines := []string{o.Method + " " + o.BaseURL + o.Path}
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		lines = append(lines, name+": "+o.Headers[name])
	}
	var schema struct {
		Properties map[string]json.RawMessage `json:"properties"`
		Required   []string                   `json:"required"`
	}
	require.NoError(t, json.Unmarshal(o.InputSchema, &schema))
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		line := name
		if p, listed := o.Parameters[name]; listed {
			line += " in " + p.In
			if p.Name != "" {
				line += " as " + p.Name
			}
		}
		if slices.Contains(schema.Required, name) {
			line += " required"
		}
		lines = append(lines, line+" "+string(schema.Properties[name]))
	}
	if o.Body != nil {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("body %s %s %s", o.Body.Format, o.Body.MediaType, o.Body.Property)))
	}
	return strings.Join(append(lines, o.Notes...), "\n")
}

func one(t *testing.T, f imports.Found, err error) string {
	t.Helper()
	require.NoError(t, err)
	require.Len(t, f.Offers, 1, "%+v", f.Skipped)
	return show(t, f.Offers[0])
}

func TestACommandOfADocumentationIsRead(t *testing.T) {
	for name, row := range map[string]struct{ base, command, want string }{
		"Stripe": {"https://api.stripe.com", `curl https://api.stripe.com/v1/customers/cus_NffrFeUfNV2Hib \
  -u "sk_test_4eC39HqLyjWDarjtT1zdp7dc:" \
  -d "metadata[order_id]"=6735 -d email=a@example.com`, `POST /v1/customers/{customer_id}
customer_id required {"examples":["cus_NffrFeUfNV2Hib"],"type":"string"}
email in body {"examples":["a@example.com"],"type":"string"}
metadata[order_id] in body {"examples":[6735],"type":"integer"}
body form
left out: the user name and password (-u): configure auth of type basic`},
		"Stripe with -G": {"https://api.stripe.com", `curl -G https://api.stripe.com/v1/charges -d limit=3 -H "Stripe-Version: 2026-01-28"`, `GET /v1/charges
Stripe-Version: 2026-01-28
limit in query {"examples":[3],"type":"integer"}`},
		"GitHub": {"https://api.github.com", `curl -L \
  -X POST \
  -H "Accept: application/vnd.github+json" \
  -H "Authorization: Bearer <YOUR-TOKEN>" \
  -H "X-GitHub-Api-Version: 2022-11-28" \
  https://api.github.com/repos/OWNER/REPO/issues/ISSUE_NUMBER/comments \
  -d '{"body":"Me too","labels":["bug"]}'`, `POST /repos/{owner}/{repo}/issues/{issue_number}/comments
Accept: application/vnd.github+json
X-Github-Api-Version: 2022-11-28
body in body {"examples":["Me too"],"type":"string"}
issue_number required {"type":"string"}
labels in body {"items":{"examples":["bug"],"type":"string"},"type":"array"}
owner required {"type":"string"}
repo required {"type":"string"}
body json
left out: the header Authorization: configure auth of type bearer_token`},
		"Slack": {"https://slack.com/api", `curl -X POST -F channel=C1234567890 -F text="Reminder: it's" https://slack.com/api/chat.scheduleMessage -H 'Authorization: Bearer xoxb-not-a-real-token'`, `POST /chat.scheduleMessage
channel in body {"examples":["C1234567890"],"type":"string"}
text in body {"examples":["Reminder: it's"],"type":"string"}
body multipart
left out: the header Authorization: configure auth of type bearer_token`},
		"a webhook of Slack, whose path is a credential": {"https://hooks.slack.com", `curl -X POST -H 'Content-type: application/json' --data '{"text":"Hello"}' https://hooks.slack.com/services/T00000000/B00000000/a1B2c3D4e5F6g7H8i9J0k1L2`, `POST /services/{service_id}/{id}/{path_id}
id required {"type":"string"}
path_id required {"type":"string"}
service_id required {"type":"string"}
text in body {"examples":["Hello"],"type":"string"}
body json
left out: a part of the path that looks like a credential`},
		"a key in the query": {"https://maps.example", `curl "https://maps.example/maps/api/geocode/json?address=1600+Main%20St&key=AIzaSyNotARealKey0123456789&api_key=123"`, `GET /maps/api/geocode/json
address in query {"examples":["1600 Main St"],"type":"string"}
key in query {"type":"string"}
left out: the value of key in the query
left out: the value of api_key in the query`},
		"variables": {"https://api.openai.com/v1", `curl https://api.openai.com/v1/chat/completions -H "Content-Type: application/json" -H "Authorization: Bearer $OPENAI_API_KEY" -d "{\"model\": \"gpt\", \"user\": \"$USER\", \"max_tokens\": 5, \"stream\": false}"`, `POST /chat/completions
max_tokens in body {"examples":[5],"type":"integer"}
model in body {"examples":["gpt"],"type":"string"}
stream in body {"examples":[false],"type":"boolean"}
user in body {"type":"string"}
body json
left out: the header Authorization: configure auth of type bearer_token`},
		"a file and other media types": {"https://api.example", `curl --json '[1,2]' https://api.example/a?api-version=2024-06-01`, `POST /a?api-version=2024-06-01
body required {"items":{"examples":[1],"type":"integer"},"type":"array"}
body json  body`},
		"a file": {"https://api.example", `curl -T photo.png -H 'Content-Type: image/png' https://api.example/photos/7`, `PUT /photos/{photo_id}
body required {"contentEncoding":"base64","description":"The content of a file.","type":"string"}
photo_id required {"examples":[7],"type":["integer","string"]}
body base64 image/png body`},
		"XML": {"https://api.example", `curl -X POST -H 'Content-Type: text/xml; charset=utf-8' -d '<a>1</a>' https://api.example/soap`, `POST /soap
body required {"type":"string"}
body text text/xml body`},
		"a form with a file": {"https://api.example", `curl -F 'file=@a.pdf;type=application/pdf' -F title=Report https://api.example/files`, `POST /files
file in body {"contentEncoding":"base64","description":"A file.","type":"string"}
title in body {"examples":["Report"],"type":"string"}
body multipart`},
		"no body": {"https://api.example", `curl -sS -XDELETE 'https://api.example/things/6f9619ff-8b86-d011-b42d-00c04fc964ff?force=true&tag=a&tag=b'`, `DELETE /things/{thing_id}
force in query {"examples":[true],"type":"boolean"}
tag in query {"items":{"type":"string"},"type":"array"}
thing_id required {"examples":["6f9619ff-8b86-d011-b42d-00c04fc964ff"],"type":"string"}`},
		"a POST without a body": {"https://api.example", `curl -X POST https://api.example/things/7/start`, `POST /things/{thing_id}/start
thing_id required {"examples":[7],"type":["integer","string"]}
body none`},
		"another host": {"https://api.example", `curl https://user:pass@upload.example:8443/v1/files`, `GET https://upload.example:8443/v1/files
left out: the user in the URL: configure auth of type basic`},
		"a name in two places": {"https://api.example", `curl -X PUT https://api.example/things/{id}?name=a -d '{"id": 7, "name": "b", "password": "hunter2"}'`, `PUT /things/{id}
body_id in body as id {"examples":[7],"type":"integer"}
body_name in body as name {"examples":["b"],"type":"string"}
id required {"type":"string"}
name in query {"examples":["a"],"type":"string"}
password in body {"type":"string"}
body json
left out: the value of password in the body`},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := imports.Curl(t.Context(), row.command, imports.For{BaseURL: row.base})
			require.Equal(t, row.want, one(t, found, err))
		})
	}
}

func TestACommandOfABrowserIsRead(t *testing.T) {
	const want = `POST /v2/orders
X-Tenant: it's
count in body {"examples":[2],"type":"integer"}
note in body {"examples":["say \"hi\" & 100%\nnow ü"],"type":"string"}
page in query {"examples":[1],"type":"integer"}
q in query {"examples":["a&b"],"type":"string"}
body json
left out: the cookies (-b)
left out: the header X-Csrf-Token: configure auth of type api_key_header`
	for name, command := range map[string]string{
		"bash": `curl 'https://shop.example/v2/orders?page=1&q=a%26b' \
  -H 'accept: application/json, text/plain, */*' \
  -H 'accept-language: en-US,en;q=0.9' \
  -H 'content-type: application/json' \
  -b 'session=abc; theme=dark' \
  -H 'origin: https://shop.example' \
  -H 'priority: u=1, i' \
  -H 'sec-ch-ua: "Chromium";v="130"' \
  -H 'user-agent: Mozilla/5.0 (X11; Linux x86_64)' \
  -H 'x-csrf-token: 0a1b2c' \
  -H $'x-tenant: it\'s' \
  --data-raw $'{"note":"say \\"hi\\" & 100%\\nnow \u00fc","count":2}' \
  --compressed`,
		"cmd": "curl ^\"https://shop.example/v2/orders?page=1^&q=a^%^26b^\" ^\r\n" +
			"  -H ^\"accept: application/json, text/plain, */*^\" ^\r\n" +
			"  -H ^\"content-type: application/json^\" ^\r\n" +
			"  -b ^\"session=abc; theme=dark^\" ^\r\n" +
			"  -H ^\"sec-ch-ua: ^\\^\"Chromium^\\^\";v=^\\^\"130^\\^\"^\" ^\r\n" +
			"  -H ^\"x-csrf-token: 0a1b2c^\" ^\r\n" +
			"  -H ^\"x-tenant: it's^\" ^\r\n" +
			"  --data-raw ^\"^{^\\^\"note^\\^\":^\\^\"say ^\\\\^\\^\"hi^\\\\^\\^\" ^& 100^%^\\nnow ü^\\^\",^\\^\"count^\\^\":2^}^\" ^\r\n" +
			"  --compressed\r\n",
		"an older cmd": "curl \"https://shop.example/v2/orders?page=1&q=a%26b\" ^\n" +
			"  -H \"content-type: application/json\" ^\n" +
			"  -H \"cookie: session=abc\" -b x=1 ^\n" +
			"  -H \"x-csrf-token: 0a1b2c\" ^\n" +
			"  -H \"x-tenant: it's\" ^\n" +
			"  --data-raw \"{\\\"note\\\":\\\"say \\\\\\\"hi\\\\\\\" & 100%\\nnow ü\\\",\\\"count\\\":2}\" ^\n" +
			"  --compressed",
	} {
		t.Run(name, func(t *testing.T) {
			found, err := imports.Curl(t.Context(), command, imports.For{BaseURL: "https://shop.example"})
			got := one(t, found, err)
			require.Equal(t, want, strings.Replace(got, "left out: the header Cookie\n", "", 1))
			require.NotContains(t, got, "session")
			require.NotContains(t, got, "0a1b2c")
		})
	}
}

func TestSeveralCommandsAreSeveralEndpoints(t *testing.T) {
	found, err := imports.Curl(t.Context(), `# get a token first
export TOKEN=$(curl -s https://id.example/token | jq -r .token)
$ curl -s https://api.example/a/1 -H "Authorization: Bearer $TOKEN" | jq . > out.json
curl -I https://api.example/a; curl https://api.example/a/2 && curl -X POST https://api.example/a -d @body.json
curl https://api.example/b https://api.example/c --next -X PUT https://api.example/d
wget https://api.example/e`, imports.For{BaseURL: "https://api.example"})
	require.NoError(t, err)
	var all []string
	for _, o := range found.Offers {
		all = append(all, o.Name+" "+o.Method+" "+o.Path)
	}
	require.Equal(t, []string{"get_a GET /a/{a_id}", "post_a POST /a", "get_b GET /b", "get_c GET /c", "put_d PUT /d"}, all)
	require.Equal(t, []domain.Skipped{{Operation: "HEAD https://api.example/a", Reason: "an endpoint can't have the method HEAD"}}, found.Skipped)
	require.Equal(t, 6, found.Total)
}

func TestWhatIsNoCommandIsRefusedWithAReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "no command that begins with curl",
		"wget https://a.example":               "no command that begins with curl",
		"curl":                                 "no command that begins with curl and has a URL",
		"curl 'https://a.example":              "a ' is not closed",
		`curl "https://a.example`:              `a " is not closed`,
		"curl $'a":                             "a $' is not closed",
		"curl $(date":                          "a $( is not closed",
		"curl " + strings.Repeat("a ", 30_000): "too many words",
	} {
		_, err := imports.Curl(t.Context(), text, imports.For{BaseURL: "https://a.example"})
		require.ErrorContains(t, err, want)
	}
}

func FuzzACommandIsReadOrRefused(f *testing.F) {
	f.Add(`curl -X POST 'https://a.example/b/1?c=d' -H 'E: f' -d '{"g":[1,{"h":"i"}]}'`)
	f.Add("curl ^\"https://a.example/^\" ^\n -H ^\"a: b^\"")
	f.Add(`curl $'\x41\u00fc' ${A} $(b) "$C"`)
	f.Fuzz(func(t *testing.T, text string) {
		found, err := imports.Curl(t.Context(), text, imports.For{BaseURL: "https://a.example/v1"})
		if err != nil {
			return
		}
		for _, o := range found.Offers {
			if !json.Valid(o.InputSchema) || o.Name == "" || o.Description == "" {
				t.Errorf("%q is offered as %+v", text, o)
			}
		}
	})
}
