// What goes wrong, with the exit codes of edgesr: 1 error, 2 usage, 4 something that this machine lacks.

#pragma once

#include <stdexcept>
#include <string>

namespace kit {

enum class Code { error = 1, usage = 2, missing = 4 };

// The message says what was wrong; the hint, which may be empty, what to do next.
class Error : public std::runtime_error {
public:
    Error(Code code, const std::string& message, const std::string& hint = "")
        : std::runtime_error(hint.empty() ? message + "." : message + ". " + hint), code_(code) {}

    int exit_code() const { return static_cast<int>(code_); }

private:
    Code code_;
};

}  // namespace kit
