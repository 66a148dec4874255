//go:build ignore

package main

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"clients/client"
)

func driver(url string, doer *http.Client) func(call) error {
	configuration := client.NewConfiguration()
	configuration.Servers = client.ServerConfigurations{{URL: url}}
	configuration.HTTPClient = doer
	services := reflect.ValueOf(client.NewAPIClient(configuration)).Elem()
	return func(one call) error {
		var method reflect.Value
		for n := range services.NumField() {
			if strings.HasSuffix(services.Type().Field(n).Name, "API") && !method.IsValid() {
				method = services.Field(n).MethodByName(one.method())
			}
		}
		if !method.IsValid() {
			return fmt.Errorf("there is no method for %s", one.Operation)
		}
		in := []reflect.Value{reflect.ValueOf(context.Background())}
		for _, value := range one.params() {
			in = append(in, reflect.ValueOf(value))
		}
		request := method.Call(in)[0]
		if len(one.Body) > 0 {
			var err error
			if request, err = withBody(request, one); err != nil {
				return err
			}
		}
		results := request.MethodByName("Execute").Call(nil)
		err, _ := results[len(results)-1].Interface().(error)
		if refusal, ok := err.(interface{ Model() any }); ok && refusal.Model() != nil {
			return nil // a refusal that was decoded
		}
		return err
	}
}

// withBody sets the body with the one method of the request that takes a model or an object.
func withBody(request reflect.Value, one call) (reflect.Value, error) {
	for n := range request.NumMethod() {
		m := request.Type().Method(n)
		if m.Type.NumIn() != 2 || m.Type.In(1).Kind() != reflect.Struct && m.Type.In(1).Kind() != reflect.Map {
			continue
		}
		body, err := one.decoded(m.Type.In(1))
		if err != nil {
			return request, err
		}
		return request.Method(n).Call([]reflect.Value{body})[0], nil
	}
	return request, fmt.Errorf("there is no body for %s", one.Operation)
}
