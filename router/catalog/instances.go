package catalog

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"

	"github.com/hashicorp/consul/api"
)

// Instances returns where a service that is no function is: host and port of its healthy instances, the nearest to this node
// first. It asks the agent each time.
func (w *Watcher) Instances(ctx context.Context, service string) ([]string, error) {
	entries, meta, err := w.client.Health().Service(service, "", true, (&api.QueryOptions{Near: "_agent"}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking Consul for the instances of service %q: %w", service, err)
	}
	if len(entries) == 0 && meta.ResultsFilteredByACLs {
		return nil, fmt.Errorf("the host's Consul token may not read service %q", service)
	}
	var list []string
	for _, e := range entries {
		if e.Service != nil && e.Node != nil && e.Service.Port > 0 {
			list = append(list, net.JoinHostPort(cmp.Or(e.Service.Address, e.Node.Address), strconv.Itoa(e.Service.Port)))
		}
	}
	return list, nil
}
