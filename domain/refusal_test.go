package domain_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/seed677028b5/integrations/domain"
)

// stdio is an MCP server that is started by a profile.
func stdio(command string) string {
	return `{"protocol": "mcp", "mcp_transport": "stdio", "mcp_command": ` + command + `}`
}

const endpoint = `"name": "e", "description": "d", "path": "/p"`

// refusals has wrong values for every field: a change to a valid document, and the
// pointer and code of its refusal.
var refusals = []struct{ over, pointer, code string }{
	{`{"name": null}`, "/name", "required"},
	{`{"name": 7}`, "/name", "type"},
	{`{"name": "a"}`, "/name", "too_short"},
	{`{"name": "` + strings.Repeat("a", 129) + `"}`, "/name", "too_long"},
	{`{"name": "Crm"}`, "/name", "pattern"},
	{`{"name": "crm-"}`, "/name", "pattern"},
	{`{"name": "-crm"}`, "/name", "pattern"},
	{`{"name": "c.rm"}`, "/name", "pattern"},
	{`{"name": "google-maps"}`, "/name", "reserved"},
	{`{"name": "health-check"}`, "/name", "reserved"},
	{`{"name": "events"}`, "/name", "reserved"},
	{`{"name": "calls"}`, "/name", "reserved"},
	{`{"name": "6f6da349-bdfa-55fd-b63d-f53575636c67"}`, "/name", "reserved"},
	{`{"display_name": null}`, "/display_name", "required"},
	{`{"display_name": ""}`, "/display_name", "too_short"},
	{`{"display_name": "` + strings.Repeat("é", 257) + `"}`, "/display_name", "too_long"},
	{`{"display_name": "a\nb"}`, "/display_name", "pattern"},
	{`{"protocol": "soap"}`, "/protocol", "enum"},
	{`{"protocol": "REST"}`, "/protocol", "enum"},
	{`{"enabled": "yes"}`, "/enabled", "type"},
	{`{"base_url": null}`, "/base_url", "required"},
	{`{"base_url": "crm.example.com"}`, "/base_url", "url_invalid"},
	{`{"base_url": "ftp://crm.example.com"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://crm.example.com:70000"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://crm.example.com:0/v1"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://u:p@crm.example.com"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://crm.example.com/#top"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://crm.example.com/?a=b"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://crm.example.com/a/../b"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://crm.example.com/a b"}`, "/base_url", "url_invalid"},
	{`{"base_url": "https://crm.example.com/` + strings.Repeat("a", 2048) + `"}`, "/base_url", "too_long"},
	{`{"Name": "crm"}`, "/Name", "unknown_member"},
	{`{"a/b~c": 1}`, "/a~1b~0c", "unknown_member"},

	{`{"auth": "secret"}`, "/auth", "type"},
	{`{"auth": {}}`, "/auth/type", "required"},
	{`{"auth": {"type": "magic"}}`, "/auth/type", "enum"},
	{`{"auth": {"type": "gcp_wif"}}`, "/auth/type", "auth_type_unsupported"},
	{`{"auth": {"api_key_value": "k", "bearer_token_value": "t"}}`, "/auth/type", "required"},
	{`{"auth": {"type": "api_key_header"}}`, "/auth/api_key_value", "required"},
	{`{"auth": {"type": "api_key_header", "api_key_value": ""}}`, "/auth/api_key_value", "too_short"},
	{`{"auth": {"type": "api_key_header", "api_key_value": 7}}`, "/auth/api_key_value", "type"},
	{`{"auth": {"type": "api_key_header", "api_key_value": {"value": ""}}}`, "/auth/api_key_value/value", "too_short"},
	{`{"auth": {"type": "api_key_header", "api_key_value": {"text": "k"}}}`, "/auth/api_key_value/text", "unknown_member"},
	{`{"auth": {"type": "api_key_header", "api_key_value": "` + strings.Repeat("k", 8193) + `"}}`, "/auth/api_key_value", "too_long"},
	{`{"auth": {"type": "api_key_header", "api_key_value": "a\r\nX: b"}}`, "/auth/api_key_value", "pattern"},
	{`{"auth": {"type": "api_key_header", "api_key_value": "k", "header_name": "X Key"}}`, "/auth/header_name", "header_invalid"},
	{`{"auth": {"type": "api_key_header", "api_key_value": "k", "header_name": "Host"}}`, "/auth/header_name", "header_not_allowed"},
	{`{"auth": {"type": "api_key_header", "api_key_value": "k", "header_name": "X-Forwarded-For"}}`, "/auth/header_name", "header_not_allowed"},
	{`{"auth": {"type": "api_key_header", "api_key_value": "k", "header_name": "X-K", "query_name": "k"}}`, "/auth/query_name", "not_allowed"},
	{`{"auth": {"type": "api_key_header", "api_key_value": "k", "client_id": "c"}}`, "/auth/client_id", "unknown_member"},
	{`{"auth": {"type": "bearer_token", "bearer_token_value": "t", "secrets": {"bearer_token_value": {"set": true}}}}`, "/auth/secrets", "read_only"},
	{`{"auth": {"type": "basic"}}`, "/auth/username", "required"},
	{`{"auth": {"type": "basic", "username": "", "password_value": ""}}`, "/auth/username", "required"},
	{`{"auth": {"type": "basic", "username": "u", "username_value": "u"}}`, "/auth/username_value", "not_allowed"},
	{`{"auth": {"type": "basic", "username_value": "a:b"}}`, "/auth/username_value", "pattern"},
	{`{"auth": {"type": "bearer_token", "bearer_token_value": "Bearer abc"}}`, "/auth/bearer_token_value", "pattern"},
	{`{"auth": {"type": "bearer_token", "bearer_token_value": "bearer abc"}}`, "/auth/bearer_token_value", "pattern"},
	{`{"auth": {"type": "bearer_token", "bearer_token_value": " abc"}}`, "/auth/bearer_token_value", "pattern"},
	{`{"auth": {"header_format": "Token {secret}", "api_key_value": "token abc"}}`, "/auth/api_key_value", "pattern"},
	{`{"auth": {"header_format": "Token", "api_key_value": "abc"}}`, "/auth/header_format", "pattern"},
	{`{"auth": {"header_format": "Token {secret}", "query_name": "k", "api_key_value": "abc"}}`, "/auth/header_format", "not_allowed"},
	{`{"auth": {"type": "basic", "username": "a:b", "password_value": "p"}}`, "/auth/username", "pattern"},
	{`{"auth": {"client_id": "c", "client_secret_value": "s", "token_url": "https://a/t", "dpop": true, "token_in": {"query": "t"}}}`, "/auth/dpop", "not_allowed"},
	{`{"auth": {"type": "signed_jwt"}}`, "/auth/private_key_value", "required"},
	{`{"auth": {"type": "signed_jwt", "assertion_algorithm": "HS256"}}`, "/auth/shared_secret_value", "required"},
	{`{"auth": {"type": "signed_jwt", "assertion_algorithm": "HS256", "secret_encoding": "hex", "shared_secret_value": "xyz"}}`, "/auth/shared_secret_value", "pattern"},
	{`{"auth": {"type": "signed_jwt", "assertion_claims": {"exp": 1}}}`, "/auth/assertion_claims/exp", "not_allowed"},
	{`{"auth": {"type": "signed_jwt", "assertion_certificate": "x"}}`, "/auth/assertion_certificate", "certificate_invalid"},
	{`{"auth": {"type": "signed_jwt", "token_in": {"format": "x"}}}`, "/auth/token_in/format", "pattern"},
	{`{"auth": {"type": "signed_jwt", "token_in": {"header": "X-A", "query": "a"}}}`, "/auth/token_in/query", "not_allowed"},
	{`{"auth": {"type": "aws_sigv4", "access_key_id": "A", "region": "r", "secret_access_key_value": "s"}}`, "/auth/service", "required"},
	{`{"auth": {"type": "aws_sigv4", "access_key_id": "A/b"}}`, "/auth/access_key_id", "pattern"},
	{`{"auth": {"type": "oauth1", "consumer_secret_value": "s"}}`, "/auth/consumer_key", "required"},
	{`{"auth": {"type": "oauth1", "signature_method": "RSA-SHA1"}}`, "/auth/signature_method", "enum"},
	{`{"auth": {"type": "oauth1", "realm": "a\"b"}}`, "/auth/realm", "pattern"},
	{`{"auth": {"type": "digest", "password_value": "p"}}`, "/auth/username", "required"},
	{`{"auth": {"type": "digest", "username": "u"}}`, "/auth/password_value", "required"},
	{`{"auth": {"type": "hmac", "shared_secret_value": "s"}}`, "/auth/signature", "required"},
	{`{"auth": {"type": "hmac", "signature": {"algorithm": "hmac-sha1"}}}`, "/auth/signature/algorithm", "enum"},
	{`{"auth": {"type": "hmac", "signature": {"components": ["@status"]}}}`, "/auth/signature/components/0", "pattern"},
	{`{"auth": {"type": "hmac", "signature": {"template": "{bodies}"}}}`, "/auth/signature/template", "template_invalid"},
	{`{"auth": {"type": "hmac", "signature": {"template": "{body}"}}}`, "/auth/signature/header", "required"},
	{`{"auth": {"type": "hmac", "signature": {"template": "{body}", "header": "X-S", "format": "v1"}}}`, "/auth/signature/format", "pattern"},
	{`{"auth": {"type": "client_certificate"}}`, "/auth/client_certificate", "required"},
	{`{"auth": {"type": "client_certificate", "client_certificate": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"}}`, "/auth/client_certificate", "certificate_invalid"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://m.example.com", "auth": {"type": "digest", "username": "u", "password_value": "p"}}`, "/auth/type", "not_allowed"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "token_url": "https://a/t"}}`, "/auth/client_id", "required"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c"}}`, "/auth/token_url", "required"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c", "token_url": "https://a/t", "issuer": "https://a"}}`, "/auth/issuer", "not_allowed"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c", "issuer": "http://a.example"}}`, "/auth/issuer", "url_invalid"},
	{`{"auth": {"api_key_value": "k"}, "endpoints": [{"name": "e", "path": "/", "auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c"}}]}`, "/endpoints/0/auth/token_url", "required"},
	{`{"auth": {"type": "oauth2_token_exchange", "client_id": "c", "client_secret_value": "s", "subject_token_value": "t"}}`, "/auth/token_url", "required"},
	{`{"auth": {"type": "oauth2_token_exchange", "token_url": "https://a/t", "client_secret_value": "s", "subject_token_value": "t"}}`, "/auth/client_id", "required"},
	{`{"auth": {"type": "oauth2_token_exchange", "token_url": "https://a/t", "client_auth_method": "none"}}`, "/auth/subject_token_value", "required"},
	{`{"auth": {"type": "oauth2_token_exchange", "subject_token_type": "passport"}}`, "/auth/subject_token_type", "one_of"},
	{`{"auth": {"type": "oauth2_token_exchange", "resource_client_id": "c"}}`, "/auth/resource_client_id", "not_allowed"},
	{`{"auth": {"type": "oauth2_token_exchange", "requested_token_type": "id-jag", "token_url": "https://a/t", "resource_issuer": "https://b"}}`, "/auth/resource_client_id", "required"},
	{`{"auth": {"type": "oauth2_token_exchange", "requested_token_type": "id-jag", "token_url": "https://a/t", "resource_client_id": "c"}}`, "/auth/resource_token_url", "required"},
	{`{"auth": {"type": "oauth2_token_exchange", "requested_token_type": "id-jag", "token_url": "https://a/t", "resource_client_id": "c", "resource_token_url": "https://b/t"}}`, "/auth/audience", "required"},
	{`{"auth": {"type": "oauth2_token_exchange", "requested_token_type": "id-jag", "resource_client_id": "c", "resource_token_url": "https://b/t", "resource_issuer": "https://b"}}`, "/auth/resource_issuer", "not_allowed"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://m.example.com", "auth": {"type": "oauth2_token_exchange", "requested_token_type": "id-jag", "resource_client_id": "c"}}`, "/auth/token_url", "required"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c", "token_url": "a"}}`, "/auth/token_url", "url_invalid"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c", "token_url": "https://a/t", "client_auth_method": "post"}}`, "/auth/client_auth_method", "enum"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c", "token_url": "https://a/t", "scopes": 7}}`, "/auth/scopes", "type"},
	{`{"auth": {"type": "oauth2_client_credentials", "client_secret_value": "s", "client_id": "c", "token_url": "https://a/t", "scopes": [7]}}`, "/auth/scopes/0", "type"},
	{`{"auth": {"type": "smart_backend_services", "client_id": "c", "private_key_value": "not a key"}}`, "/auth/private_key_value", "private_key_invalid"},
	{`{"auth": {"type": "smart_backend_services", "client_id": "c", "private_key_value": "{\"kty\":\"RSA\"}"}}`, "/auth/private_key_value", "private_key_invalid"},
	{`{"auth": {"type": "smart_backend_services", "client_id": "c", "assertion_algorithm": "HS256"}}`, "/auth/assertion_algorithm", "enum"},
	{`{"auth": {"type": "smart_backend_services"}}`, "/auth/client_id", "required"},
	{`{"auth": {"type": "oauth2_jwt_bearer", "assertion_issuer": "i"}}`, "/auth/token_url", "required"},
	{`{"auth": {"type": "oauth2_jwt_bearer", "token_url": "https://a/t"}}`, "/auth/assertion_issuer", "required"},
	{`{"auth": {"type": "oauth2_jwt_bearer", "token_lifetime_seconds": 5}}`, "/auth/token_lifetime_seconds", "range"},
	{`{"auth": {"type": "oauth2_jwt_bearer", "assertion_scopes_in_jwt": 1}}`, "/auth/assertion_scopes_in_jwt", "type"},
	{`{"auth": {"type": "json_token_exchange", "token_url": "https://a/t"}}`, "/auth/client_id", "required"},
	{`{"auth": {"type": "json_token_exchange", "token_response_path": "length(@)"}}`, "/auth/token_response_path", "expression_invalid"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_token_field": "[].token"}}`, "/auth/exchange_token_field", "expression_invalid"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_expires_in_field": "a || b"}}`, "/auth/exchange_expires_in_field", "expression_invalid"},
	{`{"auth": {"api_key_value": "key "}}`, "/auth/api_key_value", "pattern"},
	{`{"auth": {"type": "basic", "password_value": {"value": "\tword"}}}`, "/auth/password_value/value", "pattern"},
	{`{"auth": {"type": "json_token_exchange", "client_secret_value": "s\n"}}`, "/auth/client_secret_value", "pattern"},
	{`{"auth": {"type": "bearer_token_exchange"}}`, "/auth/exchange_url", "required"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_secret_format": "Key"}}`, "/auth/exchange_secret_format", "pattern"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_default_ttl_seconds": 119}}`, "/auth/exchange_default_ttl_seconds", "range"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_default_ttl_seconds": 120.5}}`, "/auth/exchange_default_ttl_seconds", "type"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_param_headers": [{"header_name": "X-A"}]}}`, "/auth/exchange_param_headers/0/param_name", "required"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_param_headers": [7]}}`, "/auth/exchange_param_headers/0", "type"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_param_headers": [{"header_name": "Authorization", "param_name": "p"}]}}`, "/auth/exchange_param_headers/0/header_name", "header_not_allowed"},

	{`{"endpoints": {}}`, "/endpoints", "type"},
	{`{"endpoints": [` + strings.Repeat(`{},`, 200) + `{}]}`, "/endpoints", "too_many"},
	{`{"endpoints": [7]}`, "/endpoints/0", "type"},
	{`{"endpoints": [{"description": "d", "path": "/p"}]}`, "/endpoints/0/name", "required"},
	{`{"endpoints": [{"name": "e", "path": "/p"}]}`, "/endpoints/0/description", "required"},
	{`{"endpoints": [{"name": "e", "description": "d"}]}`, "/endpoints/0/path", "required"},
	{`{"endpoints": [{` + endpoint + `}, {` + endpoint + `}]}`, "/endpoints/1/name", "duplicate"},
	{`{"endpoints": [{` + endpoint + `, "name": "a b"}]}`, "/endpoints/0/name", "pattern"},
	{`{"endpoints": [{` + endpoint + `, "description": "` + strings.Repeat("d", 2049) + `"}]}`, "/endpoints/0/description", "too_long"},
	{`{"endpoints": [{` + endpoint + `, "path": "https://evil.example.com/"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "//evil.example.com/"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "/a/../b"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "/a/%2e%2e/b"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "/a/%zz"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "/a/{b"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "/a/{b c}"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "/a#b"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "path": "\\\\evil"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "method": "get"}]}`, "/endpoints/0/method", "enum"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"Cookie": "a"}}]}`, "/endpoints/0/headers/Cookie", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"Range": "bytes=0-1"}}]}`, "/endpoints/0/headers/Range", "header_not_allowed"},
	{`{"headers": {"X-HTTP-Method-Override": "DELETE"}}`, "/headers/X-HTTP-Method-Override", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "method": "GET", "headers": {"X-HTTP-Method": "DELETE"}}]}`, "/endpoints/0/headers/X-HTTP-Method", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "method": "POST", "headers": {"X_Method_Override": "{m}"}}]}`, "/endpoints/0/headers/X_Method_Override", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"proxy": "a"}}]}`, "/endpoints/0/headers/proxy", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"X-Original-URL": "/admin"}}]}`, "/endpoints/0/headers/X-Original-URL", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"X-Rewrite-URL": "/admin"}}]}`, "/endpoints/0/headers/X-Rewrite-URL", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"True-Client-IP": "10.0.0.1"}}]}`, "/endpoints/0/headers/True-Client-IP", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"WL-Proxy-Client-IP": "10.0.0.1"}}]}`, "/endpoints/0/headers/WL-Proxy-Client-IP", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"X_Real_IP": "10.0.0.1"}}]}`, "/endpoints/0/headers/X_Real_IP", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"x_forwarded-for": "10.0.0.1"}}]}`, "/endpoints/0/headers/x_forwarded-for", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"Content.Length": "0"}}]}`, "/endpoints/0/headers/Content.Length", "header_not_allowed"},
	{`{"auth": {"type": "bearer_token_exchange", "exchange_param_headers": [{"header_name": "X_Forwarded_For", "param_name": "p"}]}}`, "/auth/exchange_param_headers/0/header_name", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"authorization": "a"}}]}`, "/endpoints/0/headers/authorization", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"Mcp-Session-Id": "a"}}]}`, "/endpoints/0/headers/Mcp-Session-Id", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"X-A": "a\r\nb"}}]}`, "/endpoints/0/headers/X-A", "header_invalid"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"X-A": "a", "x-a": "b"}}]}`, "/endpoints/0/headers/x-a", "duplicate"},
	{`{"auth": {"api_key_value": "k"}, "endpoints": [{` + endpoint + `, "headers": {"x-api-key": "a"}}]}`, "/endpoints/0/headers/X-API-Key", "header_not_allowed"},
	{`{"auth": {"api_key_value": "k", "header_name": "X-Token"}, "endpoints": [{` + endpoint + `, "headers": {"X-Token": "a"}}]}`, "/endpoints/0/headers/X-Token", "header_not_allowed"},
	{`{"auth": {"bearer_token_value": "t"}, "endpoints": [{` + endpoint + `, "auth": {"api_key_value": "k"}, "headers": {"X-API-Key": "a"}}]}`, "/endpoints/0/headers/X-API-Key", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "input_schema": []}]}`, "/endpoints/0/input_schema", "type"},
	{`{"endpoints": [{` + endpoint + `, "input_schema": {"type": "broken"}}]}`, "/endpoints/0/input_schema", "schema_invalid"},
	{`{"endpoints": [{` + endpoint + `, "input_schema": {"type": "string"}}]}`, "/endpoints/0/input_schema", "schema_invalid"},
	{`{"endpoints": [{` + endpoint + `, "input_schema": {"type": ["array", "null"]}}]}`, "/endpoints/0/input_schema", "schema_invalid"},
	{`{"endpoints": [{` + endpoint + `, "body_format": "xml"}]}`, "/endpoints/0/body_format", "enum"},
	{`{"endpoints": [{` + endpoint + `, "body": "json"}]}`, "/endpoints/0/body", "type"},
	{`{"endpoints": [{` + endpoint + `, "body": {"format": "xml"}}]}`, "/endpoints/0/body/format", "enum"},
	{`{"endpoints": [{` + endpoint + `, "body": {"kind": "json"}}]}`, "/endpoints/0/body/kind", "unknown_member"},
	{`{"endpoints": [{` + endpoint + `, "body": {"media_type": "json"}}]}`, "/endpoints/0/body/media_type", "pattern"},
	{`{"endpoints": [{` + endpoint + `, "body": {"media_type": "text/x\r\nA: b"}}]}`, "/endpoints/0/body/media_type", "pattern"},
	{`{"endpoints": [{` + endpoint + `, "body": {"format": "text"}}]}`, "/endpoints/0/body/property", "required"},
	{`{"endpoints": [{` + endpoint + `, "body": {"format": "base64"}}]}`, "/endpoints/0/body/property", "required"},
	{`{"endpoints": [{` + endpoint + `, "body": {"format": "form", "property": "p"}}]}`, "/endpoints/0/body/property", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "body": {"format": "none", "media_type": "text/plain"}}]}`, "/endpoints/0/body/media_type", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "body": {"format": "form"}, "body_format": "json"}]}`, "/endpoints/0/body_format", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "parameters": []}]}`, "/endpoints/0/parameters", "type"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": "query"}}]}`, "/endpoints/0/parameters/p", "type"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {}}}]}`, "/endpoints/0/parameters/p/in", "required"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "formData"}}}]}`, "/endpoints/0/parameters/p/in", "enum"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "path"}}}]}`, "/endpoints/0/parameters/p", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "path", "name": "q"}}}]}`, "/endpoints/0/parameters/p/name", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "query", "style": "simple"}}}]}`, "/endpoints/0/parameters/p/style", "enum"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "query", "explode": 1}}}]}`, "/endpoints/0/parameters/p/explode", "type"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "header", "allow_reserved": true}}}]}`, "/endpoints/0/parameters/p/allow_reserved", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "header", "name": "Host"}}}]}`, "/endpoints/0/parameters/p/name", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "header", "name": "Authorization"}}}]}`, "/endpoints/0/parameters/p/name", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"Cookie": {"in": "header"}}}]}`, "/endpoints/0/parameters/Cookie", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "headers": {"x-a": "1"}, "parameters": {"p": {"in": "header", "name": "X-A"}}}]}`, "/endpoints/0/parameters/p/name", "duplicate"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "cookie", "name": "a;b"}}}]}`, "/endpoints/0/parameters/p/name", "pattern"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "query", "name": "x"}, "q": {"in": "query", "name": "x"}}}]}`, "/endpoints/0/parameters/q/name", "duplicate"},
	{`{"endpoints": [{` + endpoint + `, "body": {"format": "json", "property": "p"}, "parameters": {"q": {"in": "body"}}}]}`, "/endpoints/0/parameters/q/in", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "parameters": {"q": {"in": "body", "style": "deepObject"}}}]}`, "/endpoints/0/parameters/q/style", "not_allowed"},
	{`{"auth": {"api_key_value": "k"}, "endpoints": [{` + endpoint + `, "parameters": {"p": {"in": "header", "name": "X_API_Key"}}}]}`, "/endpoints/0/parameters/p", "header_not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "tool": "t"}]}`, "/endpoints/0/tool", "not_allowed"},
	{`{"endpoints": [{` + endpoint + `, "title": ""}]}`, "/endpoints/0/title", "too_short"},
	{`{"endpoints": [{` + endpoint + `, "annotations": []}]}`, "/endpoints/0/annotations", "type"},
	{`{"endpoints": [{` + endpoint + `, "annotations": {"read_only": "yes"}}]}`, "/endpoints/0/annotations/read_only", "type"},
	{`{"endpoints": [{` + endpoint + `, "annotations": {"readonly": true}}]}`, "/endpoints/0/annotations/readonly", "unknown_member"},
	{`{"endpoints": [{` + endpoint + `, "path": "/a{?b}/c"}]}`, "/endpoints/0/path", "path_invalid"},
	{`{"endpoints": [{` + endpoint + `, "base_url": "x"}]}`, "/endpoints/0/base_url", "url_invalid"},
	{`{"endpoints": [{` + endpoint + `, "auth": {"type": "bearer_token"}}]}`, "/endpoints/0/auth/bearer_token_value", "required"},
	{`{"endpoints": [{` + endpoint + `, "response_filter": ["broken"]}]}`, "/endpoints/0/response_filter/0", "expression_invalid"},
	{`{"endpoints": [{` + endpoint + `, "response_mapping": {"a": "broken"}}]}`, "/endpoints/0/response_mapping/a", "expression_invalid"},
	{`{"endpoints": [{` + endpoint + `, "result_key": "broken"}]}`, "/endpoints/0/result_key", "expression_invalid"},
	{`{"endpoints": [{` + endpoint + `, "result_template": "broken"}]}`, "/endpoints/0/result_template", "template_invalid"},
	{`{"endpoints": [{` + endpoint + `, "max_result_length": -1}]}`, "/endpoints/0/max_result_length", "range"},
	{`{"endpoints": [{` + endpoint + `, "max_result_length": 1e300}]}`, "/endpoints/0/max_result_length", "type"},
	{`{"endpoints": [{` + endpoint + `, "result_delivery": "mail"}]}`, "/endpoints/0/result_delivery", "enum"},
	{`{"endpoints": [{` + endpoint + `, "retry_config": {"max_retries": 11}}]}`, "/endpoints/0/retry_config/max_retries", "range"},
	{`{"endpoints": [{` + endpoint + `, "retry_config": {"retry_on_status": [200]}}]}`, "/endpoints/0/retry_config/retry_on_status/0", "range"},
	{`{"endpoints": [{` + endpoint + `, "retry_config": {"backoff": 1}}]}`, "/endpoints/0/retry_config/backoff", "unknown_member"},
	{`{"endpoints": [{` + endpoint + `, "timeout_ms": 99}]}`, "/endpoints/0/timeout_ms", "range"},
	{`{"endpoints": [{` + endpoint + `, "timeout_ms": 120001}]}`, "/endpoints/0/timeout_ms", "range"},
	{`{"endpoints": [{` + endpoint + `, "cost": 1}]}`, "/endpoints/0/cost", "unknown_member"},

	{`{"health_check": {"method": "POST"}}`, "/health_check/method", "enum"},
	{`{"health_check": {"path": "/{id}"}}`, "/health_check/path", "path_invalid"},
	{`{"health_check": {"expect_status": 99}}`, "/health_check/expect_status", "range"},
	{`{"health_check": {"interval_seconds": 86401}}`, "/health_check/interval_seconds", "range"},
	{`{"health_check": {"interval": 5}}`, "/health_check/interval", "unknown_member"},

	{`{"mcp_url": "https://a"}`, "/mcp_url", "not_allowed"},
	{`{"mcp_headers": {"X-A": "s"}}`, "/mcp_headers", "not_allowed"},
	{`{"mcp_args": ["x"]}`, "/mcp_args", "not_allowed"},
	{`{"protocol": "mcp"}`, "/mcp_transport", "required"},
	{`{"protocol": "mcp", "mcp_transport": "pipe", "mcp_url": "https://a"}`, "/mcp_transport", "enum"},
	{`{"protocol": "mcp", "mcp_transport": "http"}`, "/mcp_url", "required"},
	{`{"protocol": "mcp", "mcp_transport": "sse", "mcp_url": "ws://a"}`, "/mcp_url", "url_invalid"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a", "mcp_command": "x"}`, "/mcp_command", "not_allowed"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a", "mcp_args": ["x"]}`, "/mcp_args", "not_allowed"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a", "mcp_headers": {"X-A": null}}`, "/mcp_headers/x-a", "required"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a", "mcp_headers": {"X-A": 1}}`, "/mcp_headers/X-A", "type"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a", "mcp_headers": {"Host": "h"}}`, "/mcp_headers/Host", "header_not_allowed"},
	{`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a", "mcp_session": "forever"}`, "/mcp_session", "enum"},
	{`{"protocol": "mcp", "mcp_transport": "sse", "mcp_url": "https://a", "mcp_session": "kept"}`, "/mcp_session", "not_allowed"},
	{`{"mcp_session": "kept"}`, "/mcp_session", "not_allowed"},
	{`{"endpoints": [{"name": "e", "description": "E.", "path": "", "output_schema": {"type": "string"}}]}`, "/endpoints/0/output_schema", "schema_invalid"},
	{`{"endpoints": [{"name": "e", "description": "E.", "path": "", "output_schema": []}]}`, "/endpoints/0/output_schema", "type"},
	{`{"protocol": "mcp", "mcp_transport": "stdio", "base_url": null}`, "/mcp_command", "required"},
	{stdio(`"sh", "mcp_args": ["-c", "id"]`), "/mcp_command", "profile_unknown"},
	{stdio(`""`), "/mcp_command", "too_short"},
	{stdio(`7`), "/mcp_command", "type"},
	{stdio(`"files", "mcp_args": "/srv/a"`), "/mcp_args", "type"},
	{stdio(`"files", "mcp_args": [1, "x"]`), "/mcp_args/0", "type"},
	{stdio(`"files"`), "/mcp_args/0", "required"},
	{stdio(`"files", "mcp_args": ["/srv/a"]`), "/mcp_args/1", "required"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x", "y"]`), "/mcp_args/2", "not_allowed"},
	{stdio(`"files", "mcp_args": ["/etc", "x"]`), "/mcp_args/0", "pattern"},
	{stdio(`"files", "mcp_args": ["/srv/a\n", "x"]`), "/mcp_args/0", "pattern"},
	{stdio(`"files", "mcp_args": ["/srv/a\n/srv/b", "x"]`), "/mcp_args/0", "pattern"},
	{stdio(`"files", "mcp_args": ["/srv/a", "-c"]`), "/mcp_args/1", "pattern"},
	{stdio(`"files", "mcp_args": ["/srv/a", "--"]`), "/mcp_args/1", "pattern"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x\u0000y"]`), "/mcp_args/1", "pattern"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x\ny"]`), "/mcp_args/1", "pattern"},
	{stdio(`"files", "mcp_args": ["/srv/a", ""]`), "/mcp_args/1", "too_short"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x"], "mcp_url": "https://a"`), "/mcp_url", "not_allowed"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x"], "mcp_headers": {"X-A": "s"}`), "/mcp_headers", "not_allowed"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x"], "base_url": "https://a"`), "/base_url", "not_allowed"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x"], "auth": {"bearer_token_value": "t"}`), "/auth", "not_allowed"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x"], "endpoints": [{` + endpoint + `, "auth": {"bearer_token_value": "t"}}]`), "/endpoints/0/auth", "not_allowed"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x"], "endpoints": [{` + endpoint + `, "headers": {"X-A": "1"}}]`), "/endpoints/0/headers", "not_allowed"},
	{stdio(`"files", "mcp_args": ["/srv/a", "x"], "endpoints": [{` + endpoint + `, "base_url": "https://a"}]`), "/endpoints/0/base_url", "not_allowed"},
}

func TestEveryWrongValueIsRefusedAtItsPointer(t *testing.T) {
	for _, tt := range refusals {
		t.Run(tt.pointer+" "+tt.code, func(t *testing.T) {
			d, err := domain.Integration{}.Create("acme", merge(t, plain, tt.over), domain.Attempt{At: noon, ID: "a"}, rules)
			requireProblem(t, err, tt.pointer, tt.code)
			require.Empty(t, d)
			if tt.code == "required" || strings.HasPrefix(tt.pointer, "/name") {
				return // an update may leave it out, and refuses a name for another reason
			}
			_, err = created(t, plain).Update(doc(t, tt.over), domain.Attempt{At: noon, ID: "a"}, rules)
			requireProblem(t, err, tt.pointer, tt.code)
		})
	}
}

func TestAHeaderIsRefusedOnceAuthSetsIt(t *testing.T) {
	const carrying = `{"name": "crm", "display_name": "CRM", "base_url": "https://crm.example.com", "endpoints": [{` + endpoint + `, "headers": {"X-API-Key": "a"}}]}`
	i := created(t, carrying)
	by := domain.Attempt{At: later, ID: "a2"}
	signed := doc(t, `{"auth": {"type": "api_key_header", "api_key_value": "k1"}}`)
	_, err := i.Update(signed, by, rules)
	requireProblem(t, err, "/endpoints/0/headers/X-API-Key", "header_not_allowed")
	_, err = i.Update(doc(t, `{"auth": {"type": "api_key_header", "header_name": "X-Token", "api_key_value": "k1"}}`), by, rules)
	require.NoError(t, err)

	old := created(t, keyed) // stored before the rule existed
	old.Endpoints = i.Endpoints
	for _, change := range []string{`{"enabled": false}`, `{"auth": {"api_key_value": "k2"}}`} {
		_, err = old.Update(doc(t, change), by, rules)
		require.NoError(t, err, change)
	}
}

func requireProblem(t *testing.T, err error, pointer, code string) {
	t.Helper()
	refusal, ok := errors.AsType[*domain.Error](err)
	require.True(t, ok, "got %v", err)
	require.Equal(t, domain.Invalid, refusal.Kind)
	found := slices.ContainsFunc(refusal.Problems, func(p domain.Problem) bool {
		return p.Pointer == pointer && p.Code == code && p.Detail != ""
	})
	require.True(t, found, "want %s %s in %+v", pointer, code, refusal.Problems)
}

func TestARefusalListsEveryProblemAtOnce(t *testing.T) {
	_, err := domain.Integration{}.Create("acme", doc(t, `{"name": "X", "protocol": "soap", "colour": 1, "endpoints": [{"path": "a:b"}], "auth": {"type": "basic"}}`),
		domain.Attempt{At: noon}, rules)
	refusal, _ := errors.AsType[*domain.Error](err)
	var pointers []string
	for _, p := range refusal.Problems {
		pointers = append(pointers, p.Pointer)
	}
	slices.Sort(pointers)
	require.Equal(t, []string{
		"/auth/username", "/base_url", "/colour", "/display_name", "/endpoints/0/description",
		"/endpoints/0/name", "/endpoints/0/path", "/name", "/protocol",
	}, pointers)
	require.Equal(t, "validation_failed", refusal.Code)
}

func TestARefusalNeverContainsASecret(t *testing.T) {
	const canary = "canary-5e0c"
	for _, over := range []string{
		`{"auth": {"type": "api_key_header", "api_key_value": "` + canary + `\n"}}`,
		`{"auth": {"type": "smart_backend_services", "client_id": "c", "private_key_value": "` + canary + `"}}`,
		`{"auth": {"type": "magic", "bearer_token_value": "` + canary + `"}}`,
		`{"auth": {"api_key_value": {"value": ["` + canary + `"]}}}`,
		`{"base_url": "https://user:` + canary + `@crm.example.com"}`,
		`{"protocol": "mcp", "mcp_transport": "http", "mcp_url": "https://a", "mcp_headers": {"X-A": "` + canary + `\n"}}`,
	} {
		_, err := domain.Integration{}.Create("acme", merge(t, plain, over), domain.Attempt{At: noon}, rules)
		require.Error(t, err, over)
		require.NotContains(t, err.Error(), canary)
	}
}
