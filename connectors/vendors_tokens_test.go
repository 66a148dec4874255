package connectors

import (
	"time"

	"github.com/go-jose/go-jose/v4"
)

// issuedBearer is a call with the token that was issued.
var issuedBearer = want{header: map[string]string{"Authorization": "Bearer " + vendorToken}}

// fields is a form, or the members of a JSON object.
type fields = map[string]string

// byForm returns a vendor that issues a token for a form at path.
func byForm(path string, form fields) vendor {
	return vendor{token: want{path: path, form: form}, call: issuedBearer}
}

// byPair is byForm with the client's id and secret as user name and password.
func byPair(path, pair string, form fields) vendor {
	v := byForm(path, form)
	v.token.basic = pair
	return v
}

// called returns v with what its calls have.
func (v vendor) called(call want) vendor {
	v.call = call
	return v
}

// asserting returns v with a JWT in the form of its token request.
func (v vendor) asserting(jwt jwtWant) vendor {
	v.token.jwt = &jwt
	return v
}

const (
	jwtGrant        = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	clientAssertion = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
	entra           = "login.microsoftonline.com/contoso/oauth2/v2.0/token"
	cerner          = "authorization.cerner.com/tenants/clinic/hosts/fhir-ehr.cerner.com/protocols/oauth2/profiles/smart-v1/token"
)

// to is the claim aud of a token endpoint: this test's server stands before it.
func to(path string) string { return "~http://127.0.0.1:[0-9]+/" + path }

// as are the claims of a client that asserts itself.
func as(client, path string) map[string]any {
	return map[string]any{"iss": client, "sub": client, "aud": to(path)}
}

// tokenVendors issue tokens.
var tokenVendors = map[string]vendor{
	"Adobe, server to server": byForm("ims-na1.adobelogin.com/ims/token/v3", fields{
		"grant_type": "client_credentials", "client_id": "client-of-adobe", "client_secret": "secret-of-adobe", "scope": "openid,AdobeID",
	}).called(want{header: fields{"Authorization": "Bearer " + vendorToken, "x-api-key": "client-of-adobe"}}),
	"Amazon Selling Partner API": byForm("api.amazon.com/auth/o2/token", fields{
		"grant_type": "refresh_token", "refresh_token": "refresh-of-amazon", "client_id": "client-of-amazon", "client_secret": "secret-of-amazon",
	}).called(want{header: fields{"x-amz-access-token": vendorToken}}),
	"Auth0 Management API": {
		token: want{path: "clinic.us.auth0.com/oauth/token", json: fields{
			"grant_type": "client_credentials", "client_id": "client-of-auth0", "client_secret": "secret-of-auth0", "audience": "https://clinic.us.auth0.com/api/v2/",
		}},
		call: issuedBearer,
	},
	"Box, server to server": byForm("api.box.com/oauth2/token", fields{
		"grant_type": "client_credentials", "client_id": "client-of-box", "client_secret": "secret-of-box", "box_subject_type": "enterprise", "box_subject_id": "123456",
	}),
	"Canvas Medical": byForm("clinic.canvasmedical.com/auth/token/", fields{
		"grant_type": "client_credentials", "client_id": "client-of-canvas", "client_secret": "secret-of-canvas",
	}),
	"DocuSign": byForm("account.docusign.com/oauth/token", fields{"grant_type": jwtGrant, "assertion": "*"}).asserting(jwtWant{
		in: "assertion", algorithm: jose.RS256, kid: "*", longest: time.Hour,
		claims: map[string]any{"iss": "client-of-docusign", "sub": "user-of-docusign", "aud": "account.docusign.com", "scope": "signature impersonation"},
	}),
	"Dropbox": byPair("api.dropboxapi.com/oauth2/token", "key-of-app:secret-of-dropbox", fields{
		"grant_type": "refresh_token", "refresh_token": "refresh-of-dropbox",
	}),
	"Epic, backend": byForm("fhir.epic.com/interconnect-fhir-oauth/oauth2/token", fields{
		"grant_type": "client_credentials", "client_assertion_type": clientAssertion, "client_assertion": "*",
	}).asserting(jwtWant{
		in: "client_assertion", algorithm: jose.RS384, kid: "*", longest: 5 * time.Minute,
		claims: as("client-of-epic", "fhir.epic.com/interconnect-fhir-oauth/oauth2/token"),
	}),
	"Genesys Cloud": byPair("login.mypurecloud.com/oauth/token", "client-of-genesys:secret-of-genesys", fields{"grant_type": "client_credentials"}),
	"GitHub App, installation": {
		token: want{path: "api.github.com/app/installations/42/access_tokens", header: fields{"Accept": "application/vnd.github+json"}, jwt: &jwtWant{
			scheme: "Bearer", algorithm: jose.RS256, kid: "*", longest: 10 * time.Minute, claims: map[string]any{"iss": "123456"},
		}},
		answer: `{"token": "TOKEN", "expires_at": "2030-01-01T00:00:00Z"}`,
		call:   want{header: fields{"Authorization": "Bearer " + vendorToken, "Accept": "application/vnd.github+json"}},
	},
	"Google, service account": byForm("oauth2.googleapis.com/token", fields{"grant_type": jwtGrant, "assertion": "*"}).asserting(jwtWant{
		in: "assertion", algorithm: jose.RS256, kid: "*", longest: time.Hour,
		claims: map[string]any{"iss": "clinic@project.iam.gserviceaccount.com", "aud": "https://oauth2.googleapis.com/token", "scope": "https://www.googleapis.com/auth/cloud-platform"},
	}),
	"Health Gorilla": byForm("api.healthgorilla.com/oauth/token", fields{
		"grant_type": jwtGrant, "assertion": "*", "client_id": "client-of-gorilla", "scope": "user/*.*",
	}).asserting(jwtWant{
		in: "assertion", algorithm: jose.HS256, longest: 5 * time.Minute,
		claims: map[string]any{"iss": "https://clinic.example", "sub": "user-of-gorilla", "aud": to("api.healthgorilla.com/oauth/token")},
	}),
	"Medplum": byForm("api.medplum.com/oauth2/token", fields{
		"grant_type": "client_credentials", "client_id": "client-of-medplum", "client_secret": "secret-of-medplum",
	}),
	"Microsoft Graph": byForm(entra, fields{
		"grant_type": "client_credentials", "client_id": "client-of-entra", "client_secret": "secret-of-entra", "scope": "https://graph.microsoft.com/.default",
	}),
	"Microsoft Graph, certificate": byForm(entra, fields{
		"grant_type": "client_credentials", "client_id": "client-of-entra", "scope": "https://graph.microsoft.com/.default",
		"client_assertion_type": clientAssertion, "client_assertion": "*",
	}).asserting(jwtWant{in: "client_assertion", algorithm: jose.PS256, kid: "*", x5t: true, longest: 10 * time.Minute, claims: as("client-of-entra", entra)}),
	"NexHealth": {
		token:  want{path: "nexhealth.info/authenticates", header: fields{"Authorization": "key-of-nexhealth", "Accept": "application/vnd.Nexhealth+json;version=2"}},
		answer: `{"code": true, "data": {"token": "TOKEN"}}`,
		call:   want{header: fields{"Authorization": "Bearer " + vendorToken, "Accept": "application/vnd.Nexhealth+json;version=2"}},
	},
	"Okta, service app": byForm("clinic.okta.com/oauth2/v1/token", fields{
		"grant_type": "client_credentials", "client_id": "client-of-okta", "scope": "okta.users.read", "client_assertion_type": clientAssertion, "client_assertion": "*",
	}).asserting(jwtWant{in: "client_assertion", algorithm: jose.ES256, kid: "*", longest: time.Hour, claims: as("client-of-okta", "clinic.okta.com/oauth2/v1/token")}),
	"Oracle Health (Cerner)": byPair(cerner, "client-of-cerner:secret-of-cerner", fields{"grant_type": "client_credentials", "scope": "system/Patient.read"}),
	"Particle Health": {
		token:  want{method: "GET", path: "api.particlehealth.com/auth", header: fields{"client-id": "client-of-particle", "client-secret": "secret-of-particle", "scope": "projects/clinic"}},
		answer: "TOKEN\n",
		call:   issuedBearer,
	},
	"PayPal": byPair("api-m.paypal.com/v1/oauth2/token", "client-of-paypal:secret-of-paypal", fields{"grant_type": "client_credentials"}),
	"Reddit, script": {
		token: want{
			path: "www.reddit.com/api/v1/access_token", basic: "client-of-reddit:secret-of-reddit", header: fields{"User-Agent": "linux:clinic:1.0 (by /u/clinic)"},
			form: fields{"grant_type": "password", "username": "clinic", "password": "password-of-reddit"},
		},
		answer: `{"access_token": "TOKEN", "token_type": "bearer", "expires_in": 86400, "scope": "*"}`,
		call:   want{header: fields{"Authorization": "Bearer " + vendorToken, "User-Agent": "linux:clinic:1.0 (by /u/clinic)"}},
	},
	"Redox": byForm("api.redoxengine.com/v2/auth/token", fields{
		"grant_type": "client_credentials", "client_id": "client-of-redox", "client_assertion_type": clientAssertion, "client_assertion": "*",
	}).asserting(jwtWant{in: "client_assertion", algorithm: jose.RS384, kid: "key-1", longest: 5 * time.Minute, claims: as("client-of-redox", "api.redoxengine.com/v2/auth/token")}),
	"Salesforce, JWT": {
		token: want{path: "login.salesforce.com/services/oauth2/token", form: fields{"grant_type": jwtGrant, "assertion": "*"}, jwt: &jwtWant{
			in: "assertion", algorithm: jose.RS256, kid: "*", longest: 5 * time.Minute,
			claims: map[string]any{"iss": "consumer-key", "sub": "ops@clinic.example", "aud": "https://login.salesforce.com"},
		}},
		answer: `{"access_token": "TOKEN", "token_type": "Bearer", "instance_url": "https://clinic.my.salesforce.com"}`,
		call:   issuedBearer,
	},
	"ServiceNow, password grant": byForm("clinic.service-now.com/oauth_token.do", fields{
		"grant_type": "password", "client_id": "client-of-servicenow", "client_secret": "secret-of-servicenow", "username": "integration", "password": "password-of-servicenow",
	}),
	"Spotify": byPair("accounts.spotify.com/api/token", "client-of-spotify:secret-of-spotify", fields{"grant_type": "client_credentials"}),
	"Twitch": byForm("id.twitch.tv/oauth2/token", fields{
		"grant_type": "client_credentials", "client_id": "client-of-twitch", "client_secret": "secret-of-twitch",
	}).called(want{header: fields{"Authorization": "Bearer " + vendorToken, "Client-Id": "client-of-twitch"}}),
	"Veeva Vault": {
		token:  want{path: "clinic.veevavault.com/api/v24.2/auth", form: fields{"username": "ops@clinic.example", "password": "password-of-veeva"}},
		answer: `{"responseStatus": "SUCCESS", "sessionId": "TOKEN", "userId": 1}`,
		call:   want{header: fields{"Authorization": vendorToken}},
	},
	"Zoho CRM": {
		token: want{path: "accounts.zoho.com/oauth/v2/token", form: fields{
			"grant_type": "refresh_token", "refresh_token": "refresh-of-zoho", "client_id": "client-of-zoho", "client_secret": "secret-of-zoho",
		}},
		call: want{header: fields{"Authorization": "Zoho-oauthtoken " + vendorToken}},
	},
	"Zoom, server to server": byPair("zoom.us/oauth/token", "client-of-zoom:secret-of-zoom", fields{
		"grant_type": "account_credentials", "account_id": "account-of-zoom",
	}),
	"athenahealth": byPair("api.platform.athenahealth.com/oauth2/v1/token", "client-of-athena:secret-of-athena", fields{
		"grant_type": "client_credentials", "scope": "athena/service/Athenanet.MDP.*",
	}),
}
