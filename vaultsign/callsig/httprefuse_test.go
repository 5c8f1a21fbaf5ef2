package callsig

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

func TestVerifyRequestRefuses(t *testing.T) {
	set := func(name, value string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) { r.Header.Set(name, value) }
	}
	add := func(name, value string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) { r.Header.Add(name, value) }
	}
	del := func(name string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) { r.Header.Del(name) }
	}
	// input changes the text of Signature-Input.
	input := func(old, new string) func(*exchange, *http.Request) {
		return func(_ *exchange, r *http.Request) {
			was := r.Header.Get("Signature-Input")
			now := strings.Replace(was, old, new, 1)
			if was == now {
				panic("the test changes nothing: " + old)
			}
			r.Header.Set("Signature-Input", now)
		}
	}
	tests := map[string]struct {
		change func(*exchange, *http.Request)
		want   Reason
	}{
		"no signature":          {del("Signature"), ReasonUnsigned},
		"no signature input":    {del("Signature-Input"), ReasonUnsigned},
		"another tag":           {input(`"countersign-call"`, `"another"`), ReasonUnsigned},
		"no tag":                {input(`;tag="countersign-call"`, ""), ReasonUnsigned},
		"tag is a token":        {input(`"countersign-call"`, "countersign-call"), ReasonUnsigned},
		"other label":           {set("Signature", "sig=:AAAA:"), ReasonMalformed},
		"signature is a string": {set("Signature", `call="AAAA"`), ReasonMalformed},
		"signature is empty":    {set("Signature", `call=::`), ReasonMalformed},
		"signature is another":  {set("Signature", `call=:AAAA:`), ReasonBadSignature},
		"label twice":           {add("Signature", `call=:AAAA:`), ReasonMalformed},
		"two of ours": {func(_ *exchange, r *http.Request) {
			r.Header.Add("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), "call=", "call2=", 1))
		}, ReasonMalformed},
		"input is no dictionary":   {set("Signature-Input", `(`), ReasonMalformed},
		"input is no list":         {set("Signature-Input", `call="x";tag="countersign-call";keyid="x"`), ReasonMalformed},
		"component is a token":     {input(`"@method"`, `method`), ReasonMalformed},
		"component upper case":     {input(`"content-type"`, `"Content-Type"`), ReasonMalformed},
		"component twice":          {input(`"@method"`, `"@method" "@method"`), ReasonMalformed},
		"component is not there":   {input(`"@method"`, `"@method" "x-not-there"`), ReasonMissingComponent},
		"component of trailers":    {input(`"@method"`, `"@method" "content-type";tr`), ReasonMalformed},
		"component of a request":   {input(`"content-type"`, `"content-type";req`), ReasonMissingComponent},
		"component with unknown":   {input(`"@method"`, `"@method";x`), ReasonMalformed},
		"component unknown":        {input(`"@method"`, `"@method" "@status"`), ReasonMalformed},
		"component wrapped":        {input(`"content-type"`, `"content-type";bs`), ReasonMissingComponent},
		"component sf of a text":   {input(`"@method"`, `"@method" "content-type";sf`), ReasonMalformed},
		"component key and bs":     {input(`"@method"`, `"@method" "content-digest";bs;key="sha-256"`), ReasonMalformed},
		"component key not there":  {input(`"@method"`, `"@method" "content-digest";key="x"`), ReasonMissingComponent},
		"method not covered":       {input(`"@method" `, ``), ReasonMissingComponent},
		"path not covered":         {input(`"@path" `, ``), ReasonMissingComponent},
		"content type not covered": {input(`"content-type" `, ``), ReasonMissingComponent},
		"digest not covered":       {input(`"content-digest" `, ``), ReasonMissingComponent},
		"caller not covered":       {input(`"countersign-caller" `, ``), ReasonMissingComponent},
		"callee not covered":       {input(`"countersign-callee" `, ``), ReasonMissingComponent},
		"deadline not covered":     {input(`"countersign-deadline" `, ``), ReasonMissingComponent},
		"ID not covered":           {input(` "countersign-id"`, ``), ReasonMissingComponent},
		"hops not covered":         {set(HeaderHops, "1"), ReasonMissingComponent},
		"traceparent not covered":  {set("Traceparent", "x"), ReasonMissingComponent},
		"traceparent empty":        {set("Traceparent", ""), ReasonMalformed},
		"traceparent of spaces":    {set("Traceparent", " \t"), ReasonMalformed},
		"explain not covered":      {set(HeaderExplain, "?1"), ReasonMissingComponent},
		"explain is false":         {set(HeaderExplain, "?0"), ReasonMalformed},
		"explain is empty":         {set(HeaderExplain, ""), ReasonMalformed},
		"explain with parameters":  {set(HeaderExplain, "?1;a"), ReasonMalformed},
		"explain as on a return":   {set(HeaderExplain, ":W10=:"), ReasonMalformed},
		"explain twice": {func(_ *exchange, r *http.Request) {
			r.Header[HeaderExplain] = []string{"?1", "?1"}
		}, ReasonMalformed},
		"interface not covered":     {set(HeaderInterface, `"`+anInterface+`"`), ReasonMissingComponent},
		"interface is empty":        {set(HeaderInterface, `""`), ReasonMalformed},
		"interface is no digest":    {set(HeaderInterface, `"sha256:0"`), ReasonMalformed},
		"interface is a token":      {set(HeaderInterface, "sha256:0"), ReasonMalformed},
		"interface with parameters": {set(HeaderInterface, `"`+anInterface+`";a`), ReasonMalformed},
		"interface twice": {func(_ *exchange, r *http.Request) {
			r.Header[HeaderInterface] = []string{`"` + anInterface + `"`, `"` + anInterface + `"`}
		}, ReasonMalformed},
		"query not covered": {func(_ *exchange, r *http.Request) {
			r.URL.RawQuery = "a=b"
		}, ReasonMissingComponent},
		"order changed":        {input(`"@method" "@path"`, `"@path" "@method"`), ReasonBadSignature},
		"no created":           {input(";created=", ";x="), ReasonMalformed},
		"created is a string":  {input(`;created=`, `;created="x";y=`), ReasonMalformed},
		"created twice":        {input(`;created=`, `;created=1;created=`), ReasonMalformed},
		"no expires":           {input(";expires=", ";x="), ReasonMalformed},
		"expires is negative":  {input(";expires=", ";expires=-"), ReasonMalformed},
		"no keyid":             {input(";keyid=", ";x="), ReasonMalformed},
		"keyid of another":     {input(`;keyid="`, `;keyid="x`), ReasonUnknownKey},
		"no nonce":             {input(";nonce=", ";x="), ReasonBadSignature},
		"alg is rsa":           {input(`"ed25519"`, `"rsa-pss-sha512"`), ReasonWrongAlgorithm},
		"alg is a session's":   {input(`"ed25519"`, `"hmac-sha256"`), ReasonUnknownKey},
		"alg is empty":         {input(`"ed25519"`, `""`), ReasonMalformed},
		"another method":       {func(_ *exchange, r *http.Request) { r.Method = "PUT" }, ReasonMalformed},
		"another path":         {func(_ *exchange, r *http.Request) { r.URL.Path = "/call/fx" }, ReasonWrongCallee},
		"path escaped":         {func(_ *exchange, r *http.Request) { r.URL.RawPath = "/call/t%61x" }, ReasonWrongCallee},
		"content type changed": {set("Content-Type", "text/plain"), ReasonBadSignature},
		"content type twice":   {add("Content-Type", "application/json"), ReasonMalformed},
		"no content type":      {del("Content-Type"), ReasonMalformed},
		"no digest":            {del("Content-Digest"), ReasonMalformed},
		"digest is junk":       {set("Content-Digest", "="), ReasonMalformed},
		"digest of others":     {set("Content-Digest", "md5=:AAAA:"), ReasonBadDigest},
		"digest is a token":    {set("Content-Digest", "sha-256=a"), ReasonMalformed},
		"digest of another":    {set("Content-Digest", ContentDigest([]byte("x"))), ReasonBadDigest},
		"digest twice":         {add("Content-Digest", ContentDigest(nil)), ReasonMalformed},
		"one digest wrong": {
			set("Content-Digest", ContentDigest([]byte(`{"region":"EU"}`))+", sha-512=:AAAA:"), ReasonBadDigest,
		},
		"caller changed":        {set(HeaderCaller, `"spiffe://example.test/client/bob"`), ReasonWrongCaller},
		"caller not a string":   {set(HeaderCaller, `spiffe://example.test/client/ann`), ReasonMalformed},
		"caller not SPIFFE":     {set(HeaderCaller, `"https://example.test/client/ann"`), ReasonMalformed},
		"caller twice":          {add(HeaderCaller, `"spiffe://example.test/client/ann"`), ReasonMalformed},
		"callee is another":     {set(HeaderCallee, `"spiffe://example.test/function/fx"`), ReasonWrongCallee},
		"callee elsewhere":      {set(HeaderCallee, `"spiffe://other.test/function/tax"`), ReasonWrongCallee},
		"callee with params":    {add(HeaderCallee, `"spiffe://example.test/function/tax";a`), ReasonMalformed},
		"no deadline":           {del(HeaderDeadline), ReasonMalformed},
		"deadline changed":      {set(HeaderDeadline, "4102444800000"), ReasonBadSignature},
		"deadline is a decimal": {set(HeaderDeadline, "4102444800000.5"), ReasonMalformed},
		"deadline is negative":  {set(HeaderDeadline, "-1"), ReasonMalformed},
		"no ID":                 {del(HeaderID), ReasonMalformed},
		"ID changed":            {set(HeaderID, `"x"`), ReasonBadSignature},
		"hops is zero":          {set(HeaderHops, "0"), ReasonMalformed},
		"hops is text":          {set(HeaderHops, "many"), ReasonMalformed},
		"control character":     {set(HeaderID, "\"a\rb\""), ReasonMalformed},
		"huge field":            {set(HeaderID, `"`+strings.Repeat("a", 40<<10)+`"`), ReasonMalformed},
		"no certificate":        {del(HeaderCertificate), ReasonUnknownKey},
		"certificate twice":     {add(HeaderCertificate, ":AAAA:"), ReasonMalformed},
		"certificate is text":   {set(HeaderCertificate, "AAAA"), ReasonMalformed},
		"certificate of another": {func(x *exchange, r *http.Request) {
			r.Header.Set(HeaderCertificate, ":"+base64.StdEncoding.EncodeToString(x.tax.Certificate.DER)+":")
		}, ReasonUnknownKey},
	}
	x := newExchange(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r, body, _ := x.signed(t)
			test.change(x, r)
			sc, err := x.server.VerifyRequest(r, body, x.tax.ID())
			wantReason(t, err, test.want)
			if sc != nil {
				t.Error("a refused call was returned")
			}
		})
	}
}

func TestVerifyRequestRefusesSigners(t *testing.T) {
	x := newExchange(t)
	stranger := newAuthority(t, x.now)
	elsewhere, err := identity.ClientID("other.test", "ann")
	must(t, err)
	id, from, to := x.ann.ID(), x.now.Add(-time.Hour), x.now.Add(time.Hour)
	tests := map[string]struct {
		signer *identity.Identity
		signed time.Time
		want   Reason
	}{
		"certificate of another CA":  {stranger.identity(t, id, from, to), x.now, ReasonBadCertificate},
		"certificate of other realm": {x.ca.identity(t, elsewhere, from, to), x.now, ReasonBadCertificate},
		"certificate over": {
			x.ca.identity(t, id, from, x.now.Add(-time.Second)), x.now.Add(-2 * time.Second), ReasonExpired,
		},
		"certificate to come": {
			x.ca.identity(t, id, x.now.Add(time.Second), to), x.now.Add(2 * time.Second), ReasonNotYetValid,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			call := x.outsideCall()
			call.Caller = test.signer.ID()
			r := newRequest(t, "http://node.example", &call)
			_, err := SignRequest(r, NewSigner(test.signer), call, test.signed)
			must(t, err)
			_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
			wantReason(t, err, test.want)
		})
	}
	t.Run("no bundle", func(t *testing.T) {
		r, body, _ := x.signed(t)
		v := &Verifier{Trust: func() *identity.Bundle { return nil }, Replay: x.server.Replay, Now: x.server.Now}
		_, err := v.VerifyRequest(r, body, x.tax.ID())
		wantReason(t, err, ReasonBadCertificate)
	})
	t.Run("the CA was replaced", func(t *testing.T) {
		bundle := x.ca.Bundle
		v := &Verifier{Trust: func() *identity.Bundle { return bundle }, Replay: x.server.Replay, Now: x.server.Now}
		r, body, _ := x.signed(t)
		_, err := v.VerifyRequest(r, body, x.tax.ID())
		must(t, err)
		bundle = stranger.Bundle
		r, body, _ = x.signed(t)
		_, err = v.VerifyRequest(r, body, x.tax.ID())
		wantReason(t, err, ReasonBadCertificate)
	})
	t.Run("a known certificate gets old", func(t *testing.T) {
		x := newExchange(t)
		r, body, _ := x.signed(t)
		_, err := x.server.VerifyRequest(r, body, x.tax.ID())
		must(t, err)
		r, body, _ = x.signed(t)
		x.now = x.now.Add(time.Hour + time.Second)
		_, err = x.server.VerifyRequest(r, body, x.tax.ID())
		wantReason(t, err, ReasonExpired)
	})
}

func TestVerifyResponseRefuses(t *testing.T) {
	input := func(old, new string) func(*exchange, *http.Response) {
		return func(_ *exchange, r *http.Response) {
			was := r.Header.Get("Signature-Input")
			now := strings.Replace(was, old, new, 1)
			if was == now {
				panic("the test changes nothing: " + old)
			}
			r.Header.Set("Signature-Input", now)
		}
	}
	set := func(name, value string) func(*exchange, *http.Response) {
		return func(_ *exchange, r *http.Response) { r.Header.Set(name, value) }
	}
	del := func(name string) func(*exchange, *http.Response) {
		return func(_ *exchange, r *http.Response) { r.Header.Del(name) }
	}
	tests := map[string]struct {
		change func(*exchange, *http.Response)
		want   Reason
	}{
		"unsigned":               {del("Signature"), ReasonUnsigned},
		"tag of a call":          {input(TagReturn, TagCall), ReasonUnsigned},
		"status not covered":     {input(`"@status" `, ``), ReasonMissingComponent},
		"type not covered":       {input(`"content-type" `, ``), ReasonMissingComponent},
		"digest not covered":     {input(`"content-digest" `, ``), ReasonMissingComponent},
		"ID not covered":         {input(`"countersign-id" `, ``), ReasonMissingComponent},
		"code not covered":       {input(`"countersign-code" `, ``), ReasonMissingComponent},
		"explain not covered":    {input(`"countersign-explain" `, ``), ReasonMissingComponent},
		"explain changed":        {set(HeaderExplain, ":AAAA:"), ReasonBadSignature},
		"explain is a string":    {set(HeaderExplain, `"x"`), ReasonMalformed},
		"explain removed":        {del(HeaderExplain), ReasonMissingComponent},
		"callee not covered":     {input(`"countersign-callee";req `, ``), ReasonMissingComponent},
		"call's digest":          {input(`"content-digest";req `, ``), ReasonMissingComponent},
		"call not covered":       {input(` "signature";req;key="call"`, ``), ReasonMissingComponent},
		"another call's label":   {input(`;req;key="call"`, `;req;key="other"`), ReasonMissingComponent},
		"status changed":         {func(_ *exchange, r *http.Response) { r.StatusCode = 500 }, ReasonBadSignature},
		"error turned to reply":  {func(_ *exchange, r *http.Response) { r.StatusCode = 200 }, ReasonMalformed},
		"code changed":           {set(HeaderCode, "internal"), ReasonBadSignature},
		"code is a string":       {set(HeaderCode, `"failed"`), ReasonMalformed},
		"no code":                {del(HeaderCode), ReasonMalformed},
		"ID changed":             {set(HeaderID, `"x"`), ReasonWrongCall},
		"digest changed":         {set("Content-Digest", ContentDigest([]byte("x"))), ReasonBadDigest},
		"type changed":           {set("Content-Type", "text/plain"), ReasonBadSignature},
		"no certificate":         {del(HeaderCertificate), ReasonUnknownKey},
		"algorithm of a session": {input("ed25519", "hmac-sha256"), ReasonUnknownKey},
		"derived unknown":        {input(`"@status"`, `"@status" "@method"`), ReasonMalformed},
		"request's unknown":      {input(`"@status"`, `"@status" "@status";req`), ReasonMalformed},
		"signed by another function": {func(x *exchange, r *http.Response) {
			r.Header.Set(HeaderCertificate, ":"+base64.StdEncoding.EncodeToString(x.quote.Certificate.DER)+":")
			input(x.tax.Certificate.Thumbprint, x.quote.Certificate.Thumbprint)(x, r)
		}, ReasonWrongCallee},
		"from the future": {func(x *exchange, r *http.Response) { x.now = x.now.Add(-11 * time.Second) }, ReasonNotYetValid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			x := newExchange(t)
			request, _, sc := x.signed(t)
			ret := Return{
				Status: 422, Code: countersign.CodeFailed, Body: []byte(`{"title":"no"}`),
				Explain: strings.Repeat("x", maxExplain),
			}
			resp := &http.Response{StatusCode: ret.Status, Header: http.Header{}}
			_, err := SignResponse(resp.Header, NewSigner(x.tax), sc, ret, x.now)
			must(t, err)
			test.change(x, resp)
			_, err = x.client.VerifyResponse(resp, ret.Body, request, sc)
			wantReason(t, err, test.want)
		})
	}
}
