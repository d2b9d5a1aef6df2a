// A symbol that all libraries of a process share: what despina_add_backend() avoids.
template <class T>
struct __attribute__((visibility("default"))) Counter {
  static int& value() {
    static int counted = 0;
    return counted;
  }
};

int Count() { return ++Counter<int>::value(); }
