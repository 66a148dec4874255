package connectors

// with returns a vendor whose calls have headers, given as name and value in turn.
func with(pairs ...string) vendor {
	header := map[string]string{}
	for n := 0; n < len(pairs); n += 2 {
		header[pairs[n]] = pairs[n+1]
	}
	return vendor{call: want{header: header}}
}

// inQuery returns a vendor whose calls have a key in the query.
func inQuery(name, value string) vendor {
	return vendor{call: want{query: map[string]string{name: value}}}
}

// basicAuth returns a vendor whose calls have a user name and a password, and headers.
func basicAuth(pair string, headers ...string) vendor {
	v := with(headers...)
	v.call.basic = pair
	return v
}

// keyVendors take a key or a token that they gave.
var keyVendors = map[string]vendor{
	"Adyen":                  with("X-API-Key", "key-of-adyen"),
	"Airtable":               with("Authorization", "Bearer token-of-airtable"),
	"ActiveCampaign":         with("Api-Token", "key-of-activecampaign"),
	"Algolia":                with("X-Algolia-API-Key", "key-of-algolia", "X-Algolia-Application-Id", "APP1"),
	"Anthropic":              with("x-api-key", "key-of-anthropic", "anthropic-version", "2023-06-01"),
	"Asana":                  with("Authorization", "Bearer token-of-asana"),
	"Atlassian Statuspage":   with("Authorization", "OAuth key-of-statuspage"),
	"Calendly":               with("Authorization", "Bearer token-of-calendly"),
	"Cloudflare":             with("Authorization", "Bearer token-of-cloudflare"),
	"Cloudflare, global key": with("X-Auth-Key", "key-of-cloudflare", "X-Auth-Email", "ops@clinic.example"),
	"Datadog":                with("DD-API-KEY", "key-of-datadog", "DD-APPLICATION-KEY", "app-key-of-datadog"),
	"DeepL":                  with("Authorization", "DeepL-Auth-Key key-of-deepl"),
	"Discord":                with("Authorization", "Bot token-of-discord"),
	"Elasticsearch":          with("Authorization", "ApiKey key-of-elastic"),
	"Figma":                  with("X-Figma-Token", "token-of-figma"),
	"GitHub":                 with("Authorization", "Bearer token-of-github", "Accept", "application/vnd.github+json", "X-GitHub-Api-Version", "2022-11-28"),
	"GitLab":                 with("PRIVATE-TOKEN", "token-of-gitlab"),
	"Google Maps Geocoding":  inQuery("key", "key-of-google-maps"),
	"Harvest":                with("Authorization", "Bearer token-of-harvest", "Harvest-Account-Id", "1234567", "User-Agent", "*"),
	"Healthie":               with("Authorization", "Basic key-of-healthie", "AuthorizationSource", "API"),
	"HubSpot, private app":   with("Authorization", "Bearer token-of-hubspot"),
	"Intercom":               with("Authorization", "Bearer token-of-intercom", "Intercom-Version", "2.11"),
	"Klaviyo":                with("Authorization", "Klaviyo-API-Key key-of-klaviyo", "revision", "2024-10-15"),
	"LaunchDarkly":           with("Authorization", "token-of-launchdarkly"),
	"Linear, personal key":   with("Authorization", "key-of-linear-app"),
	"monday.com":             with("Authorization", "token-of-monday", "API-Version", "2024-10"),
	"New Relic":              with("Api-Key", "key-of-newrelic"),
	"Notion":                 with("Authorization", "Bearer token-of-notion", "Notion-Version", "2022-06-28"),
	"Okta, API token":        with("Authorization", "SSWS token-of-okta"),
	"OpenAI":                 with("Authorization", "Bearer key-of-openai", "OpenAI-Organization", "org-clinic"),
	"OpenWeather":            inQuery("appid", "key-of-openweather"),
	"Opsgenie":               with("Authorization", "GenieKey key-of-opsgenie"),
	"PagerDuty":              with("Authorization", "Token token=key-of-pagerduty", "Accept", "application/vnd.pagerduty+json;version=2"),
	"Pipedrive":              with("x-api-token", "token-of-pipedrive"),
	"Plaid":                  with("PLAID-SECRET", "secret-of-plaid", "PLAID-CLIENT-ID", "client-of-plaid", "Plaid-Version", "2020-09-14"),
	"Postmark":               with("X-Postmark-Server-Token", "token-of-postmark", "Accept", "application/json"),
	"SendGrid":               with("Authorization", "Bearer key-of-sendgrid"),
	"Shopify, custom app":    with("X-Shopify-Access-Token", "token-of-shopify"),
	"Slack, bot token":       with("Authorization", "Bearer token-of-slack"),
	"Snyk":                   with("Authorization", "token token-of-snyk"),
	"Square":                 with("Authorization", "Bearer token-of-square", "Square-Version", "2024-10-17"),
	"Trello":                 with("Authorization", `OAuth oauth_consumer_key="key-of-trello", oauth_token="token-of-trello"`),
}

// basicVendors take a user name and a password, which are often something else.
var basicVendors = map[string]vendor{
	"Ashby":       basicAuth("key-of-ashby:"),
	"BambooHR":    basicAuth("key-of-bamboohr:x"),
	"Braintree":   basicAuth("public-key:private-key-of-braintree", "Braintree-Version", "2019-01-01"),
	"Chargebee":   basicAuth("key-of-chargebee:"),
	"Cliniko":     basicAuth("key-of-cliniko-au1:", "Accept", "application/json", "User-Agent", "Clinic (ops@clinic.example)"),
	"Close":       basicAuth("key-of-close:"),
	"Freshdesk":   basicAuth("key-of-freshdesk:X"),
	"Greenhouse":  basicAuth("key-of-greenhouse:"),
	"Jira Cloud":  basicAuth("ops@clinic.example:token-of-jira"),
	"Lever":       basicAuth("key-of-lever:"),
	"Mailgun":     basicAuth("api:key-of-mailgun"),
	"Mixpanel":    basicAuth("service.account:secret-of-mixpanel"),
	"Recurly":     basicAuth("key-of-recurly:", "Accept", "application/vnd.recurly.v2021-02-25"),
	"Stripe":      basicAuth("key-of-stripe:", "Stripe-Version", "2024-06-20"),
	"Teller":      {call: want{basic: "token-of-teller:"}, mutual: true},
	"Twilio":      basicAuth("AC0123456789:token-of-twilio"),
	"WooCommerce": basicAuth("consumer-key:secret-of-woocommerce"),
	"Zendesk":     basicAuth("ops@clinic.example/token:token-of-zendesk"),
}
