//go:build ignore

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"clients/client"
)

// signIn leaves the key to the transport of the driver.
type signIn struct{}

func (signIn) Bearer(context.Context, client.OperationName) (client.Bearer, error) {
	return client.Bearer{Token: "-"}, nil
}

func driver(url string, doer *http.Client) func(call) error {
	c, err := client.NewClient(url, signIn{}, client.WithClient(doer))
	if err != nil {
		panic(err)
	}
	return func(one call) error {
		method := reflect.ValueOf(c).MethodByName(one.method())
		if !method.IsValid() {
			return fmt.Errorf("there is no method for %s", one.Operation)
		}
		in := []reflect.Value{reflect.ValueOf(context.Background())}
		for n := 1; n < method.Type().NumIn(); n++ {
			t := method.Type().In(n)
			if strings.HasSuffix(t.Name(), "Params") {
				params := reflect.New(t).Elem()
				for f := range t.NumField() {
					if value, ok := one.param(t.Field(f).Name); ok {
						params.Field(f).Set(reflect.ValueOf(value).Convert(t.Field(f).Type))
					}
				}
				in = append(in, params)
				continue
			}
			body, err := bodyOf(one, t)
			if err != nil {
				return err
			}
			in = append(in, body)
		}
		results := method.Call(in)
		err, _ := results[len(results)-1].Interface().(error)
		return err
	}
}

// bodyOf decodes the body, which may be optional, by the type's own decoder.
func bodyOf(one call, t reflect.Type) (reflect.Value, error) {
	v := reflect.New(t).Elem()
	if len(one.Body) == 0 {
		return v, nil
	}
	into := v.Addr()
	switch {
	case strings.HasPrefix(t.Name(), "Opt"):
		v.FieldByName("Set").SetBool(true)
		into = v.FieldByName("Value").Addr()
	case t.Kind() == reflect.Pointer:
		v.Set(reflect.New(t.Elem()))
		into = v
	}
	return v, json.Unmarshal(one.Body, into.Interface())
}
