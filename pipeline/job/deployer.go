package job

import (
	"maps"
	"strconv"
	"strings"
	"unicode"

	"countersign"
)

// maxDeployer bounds what is told of who deployed, in bytes: Consul takes 512.
const maxDeployer = 256

// Deployer is who had Nomad register a version of a job, as the deploy says. It is not in the job's file, for whoever runs
// that by hand is somebody else.
type Deployer struct {
	Name        string // of the Vault entity, or of the token if it has none
	EntityID    string // of the Vault entity, "" if there is none
	DisplayName string // of the token: login method and name
	From        string // user and machine
}

// deployerKeys are the keys of the meta that tell who deployed.
var deployerKeys = []string{countersign.MetaDeployedBy, countersign.MetaDeployedEntity, countersign.MetaDeployedLogin,
	countersign.MetaDeployedFrom, countersign.MetaDeployedVersion}

// SetDeployer has the meta of a job's service tell that d deploys the job's version. It is the service's, since Nomad
// changes that in place, and starts every allocation anew for the job's.
func SetDeployer(meta map[string]string, d Deployer, version uint64) {
	for key, value := range map[string]string{
		countersign.MetaDeployedBy: d.Name, countersign.MetaDeployedEntity: d.EntityID,
		countersign.MetaDeployedLogin: d.DisplayName, countersign.MetaDeployedFrom: d.From,
		countersign.MetaDeployedVersion: strconv.FormatUint(version, 10),
	} {
		if value = plain(value); value != "" {
			meta[key] = value
		} else {
			delete(meta, key)
		}
	}
}

// KeepDeployer has meta tell of the deployer what another meta tells, and nothing else.
func KeepDeployer(meta, from map[string]string) {
	maps.DeleteFunc(meta, func(key, _ string) bool { return isDeployer(key) })
	for _, key := range deployerKeys {
		if value, ok := from[key]; ok {
			meta[key] = value
		}
	}
}

func isDeployer(key string) bool {
	for _, k := range deployerKeys {
		if k == key {
			return true
		}
	}
	return false
}

// ReadDeployer returns who deployed a version of a job, as the meta of its service tells. A version that was not registered
// by a deploy, but is a copy of one, such as after `nomad job scale` or when Nomad went back to it, has the meta of
// another version: of it nobody tells.
func ReadDeployer(meta map[string]string, version uint64) (Deployer, bool) {
	if meta[countersign.MetaDeployedVersion] != strconv.FormatUint(version, 10) || meta[countersign.MetaDeployedBy] == "" {
		return Deployer{}, false
	}
	return Deployer{Name: plain(meta[countersign.MetaDeployedBy]), EntityID: plain(meta[countersign.MetaDeployedEntity]),
		DisplayName: plain(meta[countersign.MetaDeployedLogin]), From: plain(meta[countersign.MetaDeployedFrom])}, true
}

// plain makes of a name, which others chose, what neither Nomad nor a terminal takes for anything but text: Nomad puts the
// values of variables where a meta has ${…}. The attestation has the name as it is.
func plain(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsLetter(c) || unicode.IsDigit(c) || strings.ContainsRune(" ._@:/+=,-", c) {
			return c
		}
		return '_'
	}, strings.ToValidUTF8(s, "_"))
	for len(s) > maxDeployer {
		r := []rune(s)
		s = string(r[:len(r)-1])
	}
	return s
}
