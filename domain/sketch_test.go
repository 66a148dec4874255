package domain

import ("testing";"encoding/json";"strings";"time")

func TestSketch(t *testing.T){
 var doc map[string]any
 d:=json.NewDecoder(strings.NewReader(`{"name":"acme","display_name":"Acme","base_url":"https://a.example.com/x","auth":{"api_key_value":"k"},"endpoints":[{"name":"e","description":"d","path":"/a/{b}?x=1"}]}`)); d.UseNumber(); d.Decode(&doc)
 ok:=func(string) error{return nil}
 r:=Rules{ok,ok,func([]byte)error{return nil}}
 dec,err:=Integration{}.Create("w",doc,Stamp{time.Unix(0,0),"att"},r)
 if err!=nil {t.Fatal(err)}
 b,_:=json.MarshalIndent(dec.Event,""," "); t.Log(string(b))
 i:=Evolve(Integration{},dec.Event)
 dec,err=i.Update(map[string]any{"enabled":false,"base_url":"https://b.example.com", "x":1},Stamp{time.Unix(1,0),"att2"},r)
 t.Log(dec.Event,err)
 dec,err=i.Update(map[string]any{"enabled":false},Stamp{time.Unix(1,0),"att2"},r)
 b,_=json.MarshalIndent(dec.Event,""," "); t.Log(string(b),err)
}
