-- What wrk sends: a string of 44 characters.
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"str":"' .. string.rep("x", 44) .. '"}'
