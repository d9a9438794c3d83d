// As much of JSON as the kit's own files need: all of it, but for characters beyond 16 bits in \u escapes.

#pragma once

#include <cctype>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "errors.hpp"

namespace kit {

// A value of any kind; what is asked of the wrong kind is an error.
struct Json {
    enum class Kind { null, boolean, number, string, array, object };
    Kind kind = Kind::null;
    double number = 0;  // of true 1
    std::string string;
    std::vector<Json> items;
    std::map<std::string, Json> members;

    const Json& operator[](const std::string& name) const {
        const auto found = members.find(name);
        if (found == members.end()) {
            throw Error(Code::error, "the JSON has no " + name);
        }
        return found->second;
    }
    const std::string& text() const {
        if (kind != Kind::string) {
            throw Error(Code::error, "the JSON has something else where a text has to be");
        }
        return string;
    }
    int whole() const { return static_cast<int>(number); }
};

class JsonReader {
public:
    explicit JsonReader(const std::string& text) : text_(text) {}

    Json read() {
        const Json value = read_value(0);
        if (next() != '\0') {
            fail();
        }
        return value;
    }

private:
    [[noreturn]] void fail() const { throw Error(Code::error, "the JSON is damaged at character " + std::to_string(place_)); }

    // The next character that is no white space, which stays; 0 at the end.
    char next() {
        while (place_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[place_]))) {
            ++place_;
        }
        return place_ < text_.size() ? text_[place_] : '\0';
    }

    bool take(char letter) {
        const bool here = next() == letter;
        place_ += here ? 1 : 0;
        return here;
    }

    Json read_value(int depth) {
        if (depth > 64) {
            fail();
        }
        Json value;
        if (take('{')) {
            value.kind = Json::Kind::object;
            read_items('}', [&] {
                next();
                const std::string name = read_string();
                if (!take(':')) {
                    fail();
                }
                value.members[name] = read_value(depth + 1);
            });
        } else if (take('[')) {
            value.kind = Json::Kind::array;
            read_items(']', [&] { value.items.push_back(read_value(depth + 1)); });
        } else if (next() == '"') {
            value.kind = Json::Kind::string;
            value.string = read_string();
        } else {
            read_plain(value);
        }
        return value;
    }

    template <class ReadItem>
    void read_items(char end, ReadItem read_item) {
        if (take(end)) {
            return;
        }
        do {
            read_item();
        } while (take(','));
        if (!take(end)) {
            fail();
        }
    }

    std::string read_string() {
        std::string result;
        if (place_ >= text_.size() || text_[place_++] != '"') {
            fail();
        }
        while (place_ < text_.size() && text_[place_] != '"') {
            const char letter = text_[place_++];
            result += letter == '\\' ? read_escape() : std::string(1, letter);
        }
        if (place_++ >= text_.size()) {
            fail();
        }
        return result;
    }

    std::string read_escape() {
        const char letter = place_ < text_.size() ? text_[place_++] : '\0';
        const std::string from = "\"\\/bfnrt", to = "\"\\/\b\f\n\r\t";
        const auto known = from.find(letter);
        if (letter != '\0' && known != std::string::npos) {
            return std::string(1, to[known]);
        }
        if (letter != 'u' || place_ + 4 > text_.size()) {
            fail();
        }
        const unsigned long code = std::strtoul(text_.substr(place_, 4).c_str(), nullptr, 16);
        place_ += 4;
        const auto byte = [](unsigned long value) { return static_cast<char>(value); };
        if (code < 0x80) {
            return {byte(code)};
        }
        if (code < 0x800) {
            return {byte(0xC0 | code >> 6), byte(0x80 | (code & 63))};
        }
        return {byte(0xE0 | code >> 12), byte(0x80 | (code >> 6 & 63)), byte(0x80 | (code & 63))};
    }

    void read_plain(Json& value) {
        const std::size_t begin = place_;
        while (place_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[place_])) || text_[place_] == '-' ||
                                         text_[place_] == '+' || text_[place_] == '.')) {
            ++place_;
        }
        const std::string word = text_.substr(begin, place_ - begin);
        if (word == "true" || word == "false") {
            value.kind = Json::Kind::boolean;
            value.number = word == "true" ? 1 : 0;
        } else if (word != "null") {
            char* end = nullptr;
            value.kind = Json::Kind::number;
            value.number = std::strtod(word.c_str(), &end);
            if (word.empty() || *end != '\0') {
                fail();
            }
        }
    }

    const std::string& text_;
    std::size_t place_ = 0;
};

inline Json parse_json(const std::string& text) { return JsonReader(text).read(); }

}  // namespace kit
