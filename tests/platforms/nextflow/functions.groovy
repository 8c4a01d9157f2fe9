// Calls functions of a Nextflow script without Nextflow: arguments are the script and a request (JSON)
// with `calls`, a list of expressions over its functions. Writes one answer for each: value or error.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper

// What the functions ask of a file.
class StandIn {
    File file
    String getName() { file.name }
    String getSimpleName() { file.name.tokenize('.').first() }
    String toUriString() { file.path }
    String toString() { file.path }
    boolean equals(Object other) { other instanceof StandIn && other.file == file }
    int hashCode() { file.hashCode() }
    long size() { file.size() }
    Object withInputStream(Closure body) { file.withInputStream(body) }
    List splitCsv(Map how) {
        def rows = file.readLines().collect { line -> line.split(how.sep, -1)*.trim() }
        rows.drop(1).collect { cells -> [rows[0], cells].transpose().collectEntries { pair -> pair } }
    }
}

abstract class Functions extends Script {
    def error(Object text) { throw new IllegalStateException(text.toString()) }
    def file(Map named = [:], Object path) {
        def found = new File(path.toString())
        if (named.checkIfExists && !found.exists()) { error("No such file: ${path}") }
        new StandIn(file: found)
    }
    def files(Map named = [:], Object path) { [file(named, path)] }
}

def lines = new File(args[0]).readLines()
def head = lines.takeWhile { line -> !(line ==~ /workflow .*\{/) }.findAll { line -> !line.startsWith('include ') }
def request = new JsonSlurper().parseText(args[1])
def config = new org.codehaus.groovy.control.CompilerConfiguration(scriptBaseClass: Functions.name)
def plain
plain = { value ->
    value instanceof Map ? value.collectEntries { k, v -> [k, plain(v)] }
        : value instanceof List ? value.collect { plain(it) }
        : value instanceof StandIn || value instanceof GString ? value.toString() : value
}
request.calls.each { call ->
    def answer
    try {
        def binding = new Binding(request.variables ?: [:])
        def script = new GroovyShell(this.class.classLoader, binding, config).parse(head.join('\n') + '\n' + call)
        answer = [value: plain(script.run())]
    }
    catch (IllegalStateException e) { answer = [error: e.message] }
    println JsonOutput.toJson(answer)
}
