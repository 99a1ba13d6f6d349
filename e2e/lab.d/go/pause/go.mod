module istio-burst.lab/pause

go 1.26.0
