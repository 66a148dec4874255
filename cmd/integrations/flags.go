package main

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"github.com/seed677028b5/integrations/connectors"
	"github.com/seed677028b5/integrations/domain"
)

// egressFlags are where calls to upstreams may go.
type egressFlags struct {
	AllowLoopback bool           `help:"Allow calls to this machine."`
	AllowCIDR     []netip.Prefix `name:"allow-cidr" help:"Private network that integrations may call, such as 10.1.0.0/16."`
	ProxyURL      string         `name:"proxy-url" help:"Proxy for all calls to upstreams." schemes:"http,https" example:"http://proxy.example.com:3128"`
	CAFile        string         `name:"ca-file" help:"PEM file of certificate authorities to trust in addition to those of the system." type:"path"`
}

func (f egressFlags) config(now func() time.Time) connectors.Config {
	return connectors.Config{AllowLoopback: f.AllowLoopback, ProxyURL: f.ProxyURL, CAFile: f.CAFile, Version: release, AllowCIDRs: f.AllowCIDR, Now: now}
}

// builtinFlags configure the built-in integrations.
type builtinFlags struct {
	Disabled             []string `name:"builtins-disabled" help:"Built-in integrations to disable." type:"builtins"`
	GoogleMapsKey        string   `help:"Key for Google Maps." secret:""`
	GoogleMapsGeocodeURL string   `name:"google-maps-geocode-url" default:"https://geocode.googleapis.com" help:"Geocoding API." schemes:"http,https" example:"https://geocode.googleapis.com"`
	GoogleMapsPlacesURL  string   `name:"google-maps-places-url" default:"https://places.googleapis.com" help:"Places API." schemes:"http,https" example:"https://places.googleapis.com"`
	GoogleMapsRoutesURL  string   `name:"google-maps-routes-url" default:"https://routes.googleapis.com" help:"Routes API." schemes:"http,https" example:"https://routes.googleapis.com"`
	GoogleSearchKey      string   `help:"Key for Google Search." secret:""`
	GoogleSearchEngineID string   `name:"google-search-engine-id" help:"Search engine id (cx) for Google Search."`
	GoogleSearchURL      string   `name:"google-search-url" default:"https://customsearch.googleapis.com" help:"Custom Search API." schemes:"http,https" example:"https://customsearch.googleapis.com"`
	AmigoFHIRKey         string   `name:"amigo-fhir-key" help:"Bearer token for Amigo FHIR." secret:""`
	AmigoFHIRURL         string   `name:"amigo-fhir-url" help:"Base URL of Amigo FHIR; {workspace_id} is replaced by the workspace." schemes:"http,https" example:"https://fhir.example.com/{workspace_id}"`
}

func (f builtinFlags) settings() domain.BuiltinSettings {
	var keyed []string
	for name, key := range f.keys() {
		if key.Reveal() != "" {
			keyed = append(keyed, name)
		}
	}
	return domain.BuiltinSettings{
		Disabled: f.Disabled, Keyed: keyed, GeocodeURL: f.GoogleMapsGeocodeURL, PlacesURL: f.GoogleMapsPlacesURL, RoutesURL: f.GoogleMapsRoutesURL,
		SearchURL: f.GoogleSearchURL, SearchEngineID: f.GoogleSearchEngineID, FHIRURL: f.AmigoFHIRURL,
	}
}

func (f builtinFlags) keys() map[string]domain.Secret {
	return map[string]domain.Secret{
		domain.GoogleMaps:   domain.NewSecret(f.GoogleMapsKey),
		domain.GoogleSearch: domain.NewSecret(f.GoogleSearchKey),
		domain.AmigoFHIR:    domain.NewSecret(f.AmigoFHIRKey),
	}
}

// profileFlags are the programs that may be started.
type profileFlags struct {
	MCPStdioProfiles string `name:"mcp-stdio-profiles" help:"YAML or JSON file with the programs that MCP integrations may start; default: none." type:"path"`
}

// profiles returns the programs that may be started.
func (f profileFlags) profiles() ([]connectors.Profile, error) {
	if f.MCPStdioProfiles == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.MCPStdioProfiles)
	if err != nil {
		return nil, fmt.Errorf("--mcp-stdio-profiles: %w", err)
	}
	profiles, err := connectors.ReadProfiles(text)
	if err != nil {
		return nil, fmt.Errorf("--mcp-stdio-profiles: %w", err)
	}
	return profiles, nil
}
