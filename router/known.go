package router

// Known tells whether something in Consul has the name of a function. Names that only a caller claims to exist must not
// become labels of metrics.
func (r *Router[T]) Known(function string) bool {
	t := r.current.Load()
	return t != nil && t.known(function)
}
