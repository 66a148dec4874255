package connectors

// signIn is a scenario of the suite in which the client signs in to an MCP server, and calls
// its tool.
type signIn struct {
	shows string  // what holds when it passes
	auth  members // beside its type, which is oauth2_authorization_code by default. <name> is what the suite gives the client under a name
	calls int     // of the tool. 0: one
	comes string  // what the last call comes to. "": what the tool answers
}

type members = map[string]any

// crossApp is an exchange at an identity provider for what the MCP server's own
// authorization server takes.
var crossApp = members{
	"type": "oauth2_token_exchange", "token_url": "<idp_token_endpoint>", "client_id": "<idp_client_id>", "client_auth_method": "none",
	"subject_token_value": "<idp_id_token>", "requested_token_type": "id-jag", "resource_client_id": "<client_id>", "resource_client_secret_value": "<client_secret>",
}

// signIns are the scenarios that this client is held to.
var signIns = map[string]signIn{
	"auth/metadata-default": {
		shows: "The authorization server is found by the metadata of the resource, with the path inserted.",
	},
	"auth/metadata-var1": {
		shows: "The authorization server is found by OpenID Connect Discovery.",
	},
	"auth/metadata-var2": {
		shows: "The authorization server is found by the root document of the resource, and its metadata with the path inserted.",
	},
	"auth/metadata-var3": {
		shows: "The authorization server is found where the challenge points to, and by OpenID Connect Discovery with the path appended.",
	},
	"auth/basic-cimd": {
		shows: "The URL of a client metadata document is the client id.",
		auth:  members{"client_id": "https://conformance-test.local/client-metadata.json", "registration": "metadata_document"},
	},
	"auth/scope-from-www-authenticate": {
		shows: "The scopes of the challenge are asked for.",
	},
	"auth/scope-from-scopes-supported": {
		shows: "Without scopes in the challenge, those of the resource are asked for.",
	},
	"auth/scope-omitted-when-undefined": {
		shows: "Where nobody names scopes, none is asked for.",
	},
	"auth/scope-step-up": {
		shows: "A person consents again to the union of the scopes, when a call asks for more.",
	},
	"auth/scope-retry-limit": {
		shows: "A person is not asked without end.",
		comes: "The upstream answered 410 Gone.",
	},
	"auth/token-endpoint-auth-basic": {
		shows: "The client authenticates with client_secret_basic where the server has that.",
	},
	"auth/token-endpoint-auth-post": {
		shows: "The client authenticates with client_secret_post where the server has that.",
	},
	"auth/token-endpoint-auth-none": {
		shows: "A public client authenticates with nothing.",
	},
	"auth/pre-registration": {
		shows: "A client that is registered already is used.",
		auth:  members{"client_id": "<client_id>", "client_secret_value": "<client_secret>"},
	},
	"auth/2025-03-26-oauth-metadata-backcompat": {
		shows: "An MCP server of 2025-03-26 is its own authorization server.",
	},
	"auth/2025-03-26-oauth-endpoint-fallback": {
		shows: "An MCP server of 2025-03-26 without metadata has default endpoints.",
	},
	"auth/resource-mismatch": {
		shows: "Metadata that describes another resource is refused.",
		comes: "which is not the MCP server",
	},
	"auth/offline-access-scope": {
		shows: "offline_access is asked for where the authorization server lists it.",
	},
	"auth/offline-access-not-supported": {
		shows: "offline_access is not asked for where the authorization server doesn't list it.",
	},
	"auth/authorization-server-migration": {
		shows: "When the MCP server names another authorization server, a person signs in there, with a client that is registered there.",
		calls: 2,
	},
	"auth/iss-supported": {
		shows: "An answer that names the authorization server that was asked is taken (RFC 9207).",
	},
	"auth/iss-not-advertised": {
		shows: "An answer that names nobody is taken, where the authorization server has not announced that it does.",
	},
	"auth/iss-supported-missing": {
		shows: "An answer that names nobody is refused, where the authorization server has announced that it does.",
		comes: "does not name its authorization server",
	},
	"auth/iss-wrong-issuer": {
		shows: "An answer that names another authorization server is refused.",
		comes: "names another authorization server",
	},
	"auth/iss-unexpected": {
		shows: "An answer that names another authorization server is refused, announced or not.",
		comes: "names another authorization server",
	},
	"auth/iss-normalized": {
		shows: "The names of authorization servers are compared byte for byte in an answer.",
		comes: "names another authorization server",
	},
	"auth/metadata-issuer-mismatch": {
		shows: "Metadata of another authorization server than the one that was looked for is refused.",
		comes: "names the issuer",
	},
	"auth/client-credentials-basic": {
		shows: "A client gets tokens for itself, with a secret that goes to the authorization server that the MCP server names.",
		auth:  members{"type": "oauth2_client_credentials", "client_id": "<client_id>", "client_secret_value": "<client_secret>"},
	},
	"auth/client-credentials-jwt": {
		shows: "A client gets tokens for itself, with an assertion that its private key signs.",
		auth: members{
			"type": "oauth2_client_credentials", "client_id": "<client_id>", "client_auth_method": "private_key_jwt", "private_key_value": "<private_key_pem>", "assertion_algorithm": "<signing_algorithm>",
		},
	},
	"auth/enterprise-managed-authorization": {
		shows: "The identity provider gives an identity assertion (ID-JAG) for an ID token, and the authorization server of the MCP server a token for that.",
		auth:  crossApp,
	},
	"auth/cross-app-access-complete-flow": {
		shows: "The same, as it was before it had its present name.",
		auth:  crossApp,
	},
	"auth/dpop": {
		shows: "Tokens are bound to a key, which proves each request to the authorization server and to the MCP server (RFC 9449).",
		auth:  members{"dpop": true},
	},
	"auth/dpop-nonce": {
		shows: "The same, where both servers want a nonce in each proof.",
		auth:  members{"dpop": true},
	},
	"auth/wif-jwt-bearer": {
		shows: "A JWT that a platform gives to a workload is exchanged for a token, once (RFC 7523).",
		auth: members{
			"type": "oauth2_client_credentials", "client_id": "<client_id>", "client_auth_method": "none",
			"token_params": members{"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": members{"value": "<valid_jwt>"}},
		},
	},
}

// notSignIns are the scenarios that do not pass, each with why.
var notSignIns = map[string]string{}
