//go:build ignore

package main

import (
	"context"
	"fmt"
	"net/http"
	"reflect"

	"clients/client"
)

func driver(url string, doer *http.Client) func(call) error {
	c, err := client.NewClientWithResponses(url, client.WithHTTPClient(doer))
	if err != nil {
		panic(err)
	}
	return func(one call) error {
		method := reflect.ValueOf(c).MethodByName(one.method() + "WithResponse")
		if !method.IsValid() {
			return fmt.Errorf("there is no method for %s", one.Operation)
		}
		in, params := []reflect.Value{reflect.ValueOf(context.Background())}, one.params()
		for n := 1; n < method.Type().NumIn()-1; n++ { // the last are the editors of requests
			switch t := method.Type().In(n); {
			case t.Kind() == reflect.String && len(params) > 0:
				in, params = append(in, reflect.ValueOf(params[0]).Convert(t)), params[1:]
			case t.Kind() == reflect.Pointer:
				in = append(in, reflect.Zero(t))
			default:
				body, err := one.decoded(t)
				if err != nil {
					return err
				}
				in = append(in, body)
			}
		}
		err, _ := method.Call(in)[1].Interface().(error)
		return err
	}
}
