package imports_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/connectors/imports"
	"github.com/seed677028b5/integrations/domain"
)

const collection = `{"info": {"name": "CRM", "schema": "https://schema.getpostman.com/json/collection/v2.1.0/collection.json"},
 "auth": {"type": "apikey", "apikey": [{"key": "value", "value": "canary-secret-1"}]},
 "variable": [{"key": "baseUrl", "value": "https://crm.example/v1"}, {"key": "token", "value": "canary-secret-2"}],
 "item": [
  {"name": "Contacts", "item": [
   {"name": "Update a contact", "request": {"method": "PUT", "description": {"content": "Changes a contact.", "type": "text/markdown"},
    "header": [{"key": "X-Tenant", "value": "clinic"}, {"key": "X-Off", "value": "1", "disabled": true}, {"key": "X-Api-Key", "value": "canary-secret-3"}, {"key": "Idempotency-Key", "value": "{{$guid}}"}],
    "url": {"raw": "{{baseUrl}}/contacts/:contactId?notify=true&unused=1", "host": ["{{baseUrl}}"], "path": ["contacts", ":contactId"],
     "query": [{"key": "notify", "value": "true", "description": "Send a mail."}, {"key": "unused", "value": "1", "disabled": true}, {"key": "access_token", "value": "canary-secret-4"}],
     "variable": [{"key": "contactId", "value": "42"}]},
    "body": {"mode": "raw", "raw": "{\"name\": \"{{name}}\", \"age\": {{age}}, \"tags\": [\"a\"], \"client_secret\": \"canary-secret-5\"}", "options": {"raw": {"language": "json"}}}},
    "response": [{"body": "canary-secret-6"}]},
   {"name": "Upload", "request": {"method": "POST", "auth": {"type": "noauth"}, "url": "{{baseUrl}}/files", "body": {"mode": "formdata", "formdata": [{"key": "file", "type": "file", "src": "/home/me/a.pdf"}, {"key": "title", "value": "T", "type": "text"}]}}}]},
  {"name": "Login", "request": {"method": "POST", "auth": {"type": "bearer", "bearer": [{"key": "token", "value": "canary-secret-7"}]}, "url": {"raw": "https://id.example/login"}, "body": {"mode": "urlencoded", "urlencoded": [{"key": "user", "value": "amy"}, {"key": "password", "value": "canary-secret-8"}]}}},
  {"name": "Query", "request": {"method": "POST", "url": {"raw": "{{other}}/graphql"}, "body": {"mode": "graphql", "graphql": {"query": "query Q($id: ID!) { contact(id: $id) { name } }", "variables": "{\"id\": 7}"}}}},
  {"name": "Ping", "request": "https://crm.example/v1/ping"},
  {"name": "Watch", "request": {"method": "VIEW", "url": "{{baseUrl}}/contacts"}}]}`

func TestACollectionOfPostmanIsRead(t *testing.T) {
	found, err := imports.Postman(t.Context(), []byte(collection), imports.For{BaseURL: "https://crm.example/v1"})
	require.NoError(t, err)
	var all []string
	for _, o := range found.Offers {
		all = append(all, o.Name+": "+o.Description+"\n"+show(t, o))
	}
	got := strings.Join(all, "\n\n")
	require.Equal(t, `update_a_contact: Changes a contact.
PUT /contacts/{contactId}
X-Tenant: clinic
Idempotency-Key in header {"type":"string"}
age in body {"type":"string"}
client_secret in body {"type":"string"}
contactId required {"examples":[42],"type":["integer","string"]}
name in body {"type":"string"}
notify in query {"description":"Send a mail.","examples":[true],"type":"boolean"}
tags in body {"items":{"examples":["a"],"type":"string"},"type":"array"}
body json
left out: the auth of type apikey: configure auth
left out: the value of access_token in the query
left out: the header X-Api-Key: configure auth of type api_key_header
left out: the value of client_secret in the body

upload: Upload
POST /files
file in body {"contentEncoding":"base64","description":"A file.","type":"string"}
title in body {"examples":["T"],"type":"string"}
body multipart

login: Login
POST https://id.example/login
password in body {"type":"string"}
user in body {"examples":["amy"],"type":"string"}
body form
left out: the auth of type bearer: configure auth
left out: the value of password in the body

query: Query
POST /graphql
query in body {"examples":["query Q($id: ID!) { contact(id: $id) { name } }"],"type":"string"}
variables in body {"properties":{"id":{"examples":[7],"type":"integer"}},"type":"object"}
body json
left out: the auth of type apikey: configure auth
{{other}} is taken for the base URL of the integration

ping: GET /ping
GET /ping`, got)
	require.NotContains(t, fmt.Sprint(found), "canary")
	require.Equal(t, []domain.Skipped{{Operation: "VIEW https://crm.example/v1/contacts", Reason: "an endpoint can't have the method VIEW"}}, found.Skipped)
	require.Equal(t, 6, found.Total)
}

const recorded = `{"log": {"version": "1.2", "entries": [
 {"_resourceType": "document", "request": {"method": "GET", "url": "https://app.example/"}, "response": {"content": {"mimeType": "text/html"}}},
 {"request": {"method": "GET", "url": "https://app.example/logo.png"}, "response": {"content": {"mimeType": "image/png"}}},
 {"_resourceType": "xhr", "request": {"method": "POST", "url": "https://tracker.example/collect?id=canary-secret-1"}, "response": {"content": {"mimeType": "application/json"}}},
 {"_resourceType": "fetch", "request": {"method": "OPTIONS", "url": "https://app.example/api/patients/1"}, "response": {"content": {}}},
 {"_resourceType": "fetch", "request": {"method": "GET", "url": "https://app.example/api/patients/4711?view=full&session_id=canary-secret-2",
  "headers": [{"name": ":authority", "value": "app.example"}, {"name": "Authorization", "value": "Bearer canary-secret-3"}, {"name": "Cookie", "value": "sid=canary-secret-4"}, {"name": "X-App", "value": "web"}, {"name": "X-Page", "value": "1"}, {"name": "Sec-Fetch-Mode", "value": "cors"}]}, "response": {"content": {"mimeType": "application/json"}}},
 {"_resourceType": "fetch", "request": {"method": "GET", "url": "https://app.example/api/patients/4712?lang=en", "headers": [{"name": "X-App", "value": "web"}, {"name": "X-Page", "value": "2"}]}, "response": {"content": {"mimeType": "application/json"}}},
 {"_resourceType": "fetch", "request": {"method": "POST", "url": "https://app.example/api/patients", "postData": {"mimeType": "application/json;charset=utf-8", "text": "{\"name\":\"Amy Pond\",\"examples\":[\"x\"],\"apiToken\":\"canary-secret-5\"}"}}, "response": {"content": {"mimeType": "application/json"}}},
 {"_resourceType": "fetch", "request": {"method": "POST", "url": "https://app.example/api/login", "postData": {"mimeType": "application/x-www-form-urlencoded", "params": [{"name": "user", "value": "amy"}, {"name": "pwd", "value": "canary-secret-6"}]}}, "response": {"content": {"mimeType": "application/json"}}}]}}`

func TestARecordingIsReadWithoutWhatPeopleEntered(t *testing.T) {
	found, err := imports.HAR(t.Context(), []byte(recorded), imports.For{BaseURL: "https://app.example/api"})
	require.NoError(t, err)
	var all []string
	for _, o := range found.Offers {
		all = append(all, o.Name+"\n"+show(t, o))
	}
	require.Equal(t, `get_patients
GET /patients/{patient_id}
X-App: web
lang in query {"type":"string"}
patient_id required {"type":["integer","string"]}
view in query {"type":"string"}
left out: the value of session_id in the query
left out: the header Authorization: configure auth of type bearer_token
left out: the header Cookie

post_patients
POST /patients
apiToken in body {"type":"string"}
examples in body {"items":{"type":"string"},"type":"array"}
name in body {"type":"string"}
body json
left out: the value of apiToken in the body

post_login
POST /login
pwd in body {"type":"string"}
user in body {"type":"string"}
body form
left out: the value of pwd in the body`, strings.Join(all, "\n\n"))
	for _, private := range []string{"canary", "4711", "Amy", "amy"} {
		require.NotContains(t, fmt.Sprint(found), private)
	}
	require.Equal(t, []domain.Skipped{
		{Operation: "GET https://app.example/", Reason: "it is for a document"},
		{Operation: "GET https://app.example/logo.png", Reason: "its answer is image/png"},
		{Operation: "POST https://tracker.example/collect", Reason: "it goes to another host than the base URL"},
	}, found.Skipped)
	require.Equal(t, 6, found.Total)
}

func TestWhatIsNoCollectionAndNoRecordingIsRefused(t *testing.T) {
	for _, text := range []string{"", "{", "[]", "{}", `{"item": []}`, `{"item": 5}`, `{"log": {"entries": {}}}`, `{"log": {"entries": []}}`} {
		_, err := imports.Postman(t.Context(), []byte(text), imports.For{BaseURL: "https://a.example"})
		require.Error(t, err, text)
		_, err = imports.HAR(t.Context(), []byte(text), imports.For{BaseURL: "https://a.example"})
		require.Error(t, err, text)
	}
}

func TestReadingIsBoundedAndEndsWithItsContext(t *testing.T) {
	many := `{"item": [` + strings.TrimSuffix(strings.Repeat(`{"request": {"method": "GET", "url": "https://a.example/x"}},`, 3000), ",") + `]}`
	many = strings.Replace(many, "/x", "/first", 1)
	var each strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&each, `{"request": {"method": "GET", "url": "https://a.example/x%da"}},`, n)
	}
	found, err := imports.Postman(t.Context(), []byte(`{"item": [`+strings.TrimSuffix(each.String(), ",")+`]}`), imports.For{BaseURL: "https://a.example"})
	require.NoError(t, err)
	require.True(t, found.Truncated)
	require.Len(t, found.Offers, 2000)
	found, err = imports.Postman(t.Context(), []byte(many), imports.For{BaseURL: "https://a.example"})
	require.NoError(t, err)
	require.Len(t, found.Offers, 2, "the same request is one endpoint")
	deep := strings.Repeat(`{"item": [`, 500) + `{"request": "https://a.example/x"}` + strings.Repeat(`]}`, 500)
	found, err = imports.Postman(t.Context(), []byte(deep), imports.For{BaseURL: "https://a.example"})
	require.NoError(t, err)
	require.Len(t, found.Skipped, 1)
	ended, end := context.WithCancel(t.Context())
	end()
	found, err = imports.HAR(ended, []byte(recorded), imports.For{BaseURL: "https://app.example/api"})
	require.NoError(t, err)
	require.Empty(t, found.Offers)
}

func TestALongRequestIsRead(t *testing.T) {
	var form strings.Builder
	for n := range 100_000 {
		fmt.Fprintf(&form, "token_%d=a&", n)
	}
	for _, text := range []string{
		"curl https://a.example/x -d '" + form.String() + "'",
		"curl 'https://a.example/x?" + form.String() + "'",
		"curl https://a.example" + strings.Repeat("/1", 500_000),
		"curl https://a.example/x " + strings.Repeat("-H 'a: b' ", 9_000),
	} {
		found, err := imports.Curl(t.Context(), text, imports.For{BaseURL: "https://a.example"})
		require.NoError(t, err)
		require.Equal(t, 1, found.Total)
	}
}
