package hclspec

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

const fullEnvironment = `environment "prod" {
  trust_domain = "shop.example"

  registry {
    address    = "registry.example:5000"
    prefix     = "teams/shop"
    plain_http = true
    deltas     = 3
  }

  nomad {
    address     = env.NOMAD_ADDR
    region      = "eu"
    namespace   = "shop"
    datacenters = ["fra1", "fra2"]
  }

  consul {
    address = env["CONSUL_HTTP_ADDR"]
  }

  vault {
    address       = "https://${env.VAULT_HOST}:8200"
    namespace     = "admin/shop"
    transit_mount = "teams/transit"
    pki_mount     = "teams/pki"
  }

  bind "quote" {
    storage "receipts" {
      path = "/srv/receipts"
    }
    storage "rules" {
      volume = "shop-rules"
    }
    network "rates" {
      addresses            = ["rates.example:443", "[2001:db8::1]:443"]
      max_connections      = 5
      max_bytes            = "1MiB"
      max_bytes_per_second = "10KiB"
    }
    network "db" {
      service         = "postgres"
      tls             = "host"
      tls_server_name = "db.example"
    }
    network "cache" {
      unix = "/run/redis/socket"
    }
  }
}
`

var testEnv = map[string]string{
	"NOMAD_ADDR": "https://[2001:db8::1]:4646/", "CONSUL_HTTP_ADDR": "127.0.0.1:8500", "VAULT_HOST": "vault.example",
	"VAULT_TOKEN": "hvs.secret",
}

func TestParseEnvironmentReadsEverything(t *testing.T) {
	want := &Environment{
		Name: "prod", TrustDomain: "shop.example",
		Registry: Registry{Address: "registry.example:5000", Prefix: "teams/shop", PlainHTTP: true, Deltas: 3},
		Nomad: Nomad{
			Address: "https://[2001:db8::1]:4646", Region: "eu", Namespace: "shop", Datacenters: []string{"fra1", "fra2"},
		},
		Consul: Consul{Address: "http://127.0.0.1:8500"},
		Vault: Vault{
			Address: "https://vault.example:8200", Namespace: "admin/shop", TransitMount: "teams/transit", PKIMount: "teams/pki",
		},
		Storage: []StorageBinding{
			{Function: "quote", Tag: "receipts", Path: "/srv/receipts"},
			{Function: "quote", Tag: "rules", Volume: "shop-rules"},
		},
		Network: []NetworkBinding{
			{Function: "quote", Tag: "rates", Addresses: []string{"rates.example:443", "[2001:db8::1]:443"},
				NetworkLimits: NetworkLimits{Connections: 5, Bytes: 1 << 20, BytesPerSecond: 10 << 10}},
			{Function: "quote", Tag: "db", Service: "postgres", TLS: "host", TLSServerName: "db.example"},
			{Function: "quote", Tag: "cache", Unix: "/run/redis/socket"},
		},
	}
	got, diags := ParseEnvironment("prod.hcl", []byte(fullEnvironment), testEnv)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if got := plainEnvironment(got); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestParseEnvironmentWithoutVariables(t *testing.T) {
	got, diags := ParseEnvironment("prod.hcl", []byte(fullEnvironment), nil)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	if got.Nomad.Address != "" || got.Vault.Address != "" || got.Registry.Address == "" {
		t.Errorf("got %+v; want what depends on variables to be empty, and nothing else", got)
	}
	if _, diags := ParseEnvironment("prod.hcl", []byte(fullEnvironment), map[string]string{}); len(diags) != 3 {
		t.Errorf("with an empty process environment: %v; want three variables reported", diags)
	}
}

// environmentOf returns a valid environment with more in its block, from line 2 on.
func environmentOf(more string) string {
	return "environment \"dev\" {\n" + more + `
registry {
address = "registry.example"
}
nomad {
address = "http://127.0.0.1:4646"
}
consul {
address = "http://127.0.0.1:8500"
}
vault {
address = "http://127.0.0.1:8200"
}
}
`
}

var badEnvironments = []struct {
	name, body, file string
	want             []string
}{
	{name: "nothing", file: "\n", want: []string{`1:1 No environment / one environment block`}},
	{
		name: "empty", file: `environment "dev" {}`,
		want: []string{
			`1:1 No registry block / Add: registry {`, `1:1 No nomad block / address`, `1:1 No consul block / `,
			`1:1 No vault block / `,
		},
	},
	{
		name: "two", file: environmentOf("") + "environment \"prod\" {}\n",
		want: []string{`16:1 Second environment block / line 1`},
	},
	{
		name: "a function",
		file: environmentOf("") + "function \"a\" {}\n",
		want: []string{`16:1 Unknown block "function" / of a function spec`},
	},
	{
		name: "name",
		file: strings.Replace(environmentOf(""), "dev", "Dev", 1),
		want: []string{`1:13 Invalid name / For example: dev`},
	},
	{
		name: "trust domain",
		body: `trust_domain = "spiffe://shop"`,
		want: []string{`2:16 Invalid trust_domain / without spiffe://`},
	},
	{
		name: "unset variable",
		body: `trust_domain = env.NOMAD_ADR`,
		want: []string{`2:16 Environment variable "NOMAD_ADR" is not set / Did you mean env.NOMAD_ADDR`},
	},
	{name: "unknown variable", body: `trust_domain = foo.bar`, want: []string{`2:16 Unknown variable / env.NAME`}},
	{name: "env as a whole", body: `trust_domain = env`, want: []string{`2:16 Unknown variable / env.NAME`}},
	{
		name: "function call",
		body: `trust_domain = file("x")`,
		want: []string{`2:16 Expression not supported / env.NOMAD_ADDR`},
	},
	{
		name: "loop in a template", body: `trust_domain = "%{ for x in [1] }a%{ endfor }"`,
		want: []string{`2:17 Expression not supported / `},
	},
	{
		name: "registry", file: replaceIn("registry.example", "http://registry.example"),
		want: []string{`4:11 Registry address with a scheme / plain_http = true`},
	},
	{
		name: "registry over TLS", file: replaceIn("registry.example", "https://registry.example:1"),
		want: []string{`4:11 Registry address with a scheme / without https`},
	},
	{
		name: "registry with a path", file: replaceIn("registry.example", "registry.example/shop"),
		want: []string{`4:11 Invalid registry address / "registry.example/shop" is not a host`},
	},
	{
		name: "registry port", file: replaceIn("registry.example", "registry.example:70000"),
		want: []string{`4:11 Invalid registry address / `},
	},
	{
		name: "no address", file: strings.Replace(environmentOf(""), `address = "registry.example"`, `prefix = "/A"`, 1),
		want: []string{
			`3:1 address is missing / registry.example:5000`,
			`4:10 Invalid prefix / "/A" does not fit. A prefix is a path`,
		},
	},
	{
		name: "nomad without a scheme", file: replaceIn("http://127.0.0.1:4646", "127.0.0.1:4646"),
		want: []string{`7:11 Invalid address / https://nomad.example`},
	},
	{
		name: "vault with a path", file: replaceIn("http://127.0.0.1:8200", "http://127.0.0.1:8200/v1"),
		want: []string{`13:11 Address with a path / remove`},
	},
	{
		name: "vault with a password", file: replaceIn("http://127.0.0.1:8200", "http://me:pass@127.0.0.1:8200"),
		want: []string{`13:11 Password in an address / VAULT_TOKEN`},
	},
	{
		name: "nomad's names",
		file: strings.Replace(environmentOf(""), "nomad {", "nomad {\nregion = \"e u\"\n"+
			"namespace = \"a/b\"\ndatacenters = [\"dc 1\"]", 1),
		want: []string{`7:10 Invalid region / letters`, `8:13 Invalid namespace / letters`, `9:16 Invalid datacenter / any`},
	},
	{
		name: "vault's names",
		file: strings.Replace(environmentOf(""), "vault {", "vault {\ntransit_mount = \"transit/\"\n"+
			"pki_mount = \"\"\nnamespace = \" \"", 1),
		want: []string{
			`13:17 Invalid transit_mount / mount`, `14:13 Invalid pki_mount / mount`,
			`15:13 Invalid namespace / slashes`,
		},
	},
	{
		name: "bindings",
		body: "bind \"q\" {\nstorage \"a\" {}\nstorage \"b\" {\npath = \"/b\"\nvolume = \"b\"\n}\nstorage \"c\" {\n" +
			"path = \"/proc/1\"\n}\nstorage \"c\" {}\n}",
		want: []string{
			`3:1 Not bound to anything / volume = "a"`, `6:1 Both path and volume / Remove the others`,
			`9:8 Path of the system / below`,
			`11:1 Second storage "c" / line 8`,
		},
	},
	{
		name: "network bindings",
		body: "bind \"q\" {\nnetwork \"a\" {}\nnetwork \"b\" {\naddresses = [\"host\"]\n}\nnetwork \"c\" {\n" +
			"addresses = [\"host:0\", \"host:1\"]\nservice = \"c\"\n}\nnetwork \"d\" {\nadresses = [\"h:1\"]\n}\n" +
			"network \"e\" {\nunix = \"@abstract\"\nmax_connections = 0\n}\nnetwork \"f\" {\naddresses = []\n}\n" +
			"network \"g\" {\nservice = \"a/b\"\n}\nnetwork \"h\" {\nservice = \"h\"\ntls = \"guest\"\ntls_ca = \"/etc/ca.pem\"\n}\n" +
			"network \"i\" {\naddresses = [\"h:1\"]\ntls_server_name = \"h\"\n}\n}",
		want: []string{
			`3:1 Not bound to anything / host.example:443`, `5:14 Invalid address / a host and a port`, `8:14 Invalid address / `,
			`9:1 Both addresses and service / Remove the others`, `11:1 Not bound to anything / `,
			`12:1 Unknown attribute "adresses" / Did you mean addresses?`, `15:8 Path is not absolute / `, `16:19 max_connections is out of range / `,
			`19:13 No address / at least one`, `22:11 Invalid service / letters`,
			`26:1 tls without tls_server_name / db.example`, `26:7 Unknown tls / tls is "host"`, `27:10 No certificate / themselves`,
			`31:1 tls_server_name without tls / Add tls`,
		},
	},
	{name: "bind twice", body: "bind \"q\" {}\nbind \"q\" {}", want: []string{`3:1 Second bind "q" / line 2`}},
	{name: "bind without a name", body: "bind {}", want: []string{`2:1 One label expected / its function as a label`}},
	{name: "syntax", file: "environment \"dev\" {\n", want: []string{`1:19 Unclosed configuration block / `}},
}

func TestParseEnvironmentDiagnoses(t *testing.T) {
	for _, tc := range badEnvironments {
		t.Run(tc.name, func(t *testing.T) {
			src := tc.file
			if src == "" {
				src = environmentOf(tc.body)
			}
			_, diags := ParseEnvironment("dev.hcl", []byte(src), testEnv)
			checkDiagnostics(t, diags, tc.want)
		})
	}
}

// A variable may hold a secret by mistake; a log of diagnostics must not.
func TestDiagnosticsHideVariables(t *testing.T) {
	for _, body := range []string{
		`trust_domain = env.VAULT_TOKEN`, // lower-case letters and dots would fit, so the token has others
		`trust_domain = -env.VAULT_TOKEN`,
		`trust_domain = "${env.VAULT_TOKEN} "`,
		"bind \"q\" {\nstorage \"a\" {\npath = env.VAULT_TOKEN\n}\nnetwork \"b\" {\naddresses = [env.VAULT_TOKEN]\n}\n}",
		strings.Repeat("bind \"q\" {}\n", 2) + "bind \"r\" {\nstorage \"a\" {\nvolume = \"${env.VAULT_TOKEN}!\"\n}\n}",
	} {
		src := strings.Replace(environmentOf(body), `"http://127.0.0.1:4646"`, "env.VAULT_TOKEN", 1)
		src = strings.Replace(src, `"registry.example"`, "env.VAULT_TOKEN", 1)
		env := map[string]string{"VAULT_TOKEN": "hvs.SECRET/%"}
		_, diags := ParseEnvironment("dev.hcl", []byte(src), env)
		if len(diags) < 3 {
			t.Errorf("%s: only %v", body, diags)
		}
		var out bytes.Buffer
		if err := WriteDiagnostics(&out, map[string][]byte{"dev.hcl": []byte(src)}, diags, 0, true); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(out.String(), "SECRET") {
			t.Errorf("%s: the secret is shown:\n%s", body, &out)
		}
	}
}

func replaceIn(old, new string) string {
	return strings.Replace(environmentOf(""), `"`+old+`"`, `"`+new+`"`, 1)
}

// plainEnvironment returns a copy without the places in the source.
func plainEnvironment(e *Environment) *Environment {
	c := Environment{
		Name: e.Name, TrustDomain: e.TrustDomain, Registry: e.Registry, Nomad: e.Nomad, Consul: e.Consul, Vault: e.Vault,
	}
	for _, b := range e.Storage {
		c.Storage = append(c.Storage, StorageBinding{Function: b.Function, Tag: b.Tag, Path: b.Path, Volume: b.Volume})
	}
	for _, b := range e.Network {
		c.Network = append(c.Network, NetworkBinding{Function: b.Function, Tag: b.Tag,
			Addresses: b.Addresses, Service: b.Service, Unix: b.Unix, TLS: b.TLS, TLSServerName: b.TLSServerName, TLSCA: b.TLSCA, NetworkLimits: b.NetworkLimits})
	}
	return &c
}
